/** What watching may take; each with its reason, as in core/limits.ts. */
import { EMAIL_TIME, INDEX_TIMEOUT } from "../../limits.ts";

/** Watchers of one domain's changes (the platform takes 32,768), and of one mailbox's: a person's devices and windows. */
export const MAX_WATCHERS = 10_000;
export const MAX_WATCHERS_PER_ACCOUNT = 50;
/** Mailboxes that a gateway's socket names in its attachment, which takes 16,384 octets; beyond it hears of all of the domain. */
export const MAX_WATCHED_BY_NAME = 1_000;
/** Mailboxes in one frame of a watcher; it fits MAX_TEXT_FRAME. */
export const WATCH_PAGE = 200;
/** A watcher pings this often, once its last ping was answered: Cloudflare closes a WebSocket that is silent for 100 s. */
export const WATCH_PING = 30_000;
/** A watcher that has not pinged for so long is gone, or does not read; its next ping is due after a third of it. */
export const WATCH_SILENCE = 100_000;
/** Octets sent to a watcher between two of its pings: more, and it does not read. Some 15,000 changes. */
export const WATCH_UNREAD_BYTES = 1024 * 1024;
/** Mail planned while nobody watched is told of only where its store takes longer: so long after a watcher came, it is looked for. */
export const WATCH_SETTLE = EMAIL_TIME + 3 * INDEX_TIMEOUT;
/** Plans for mailboxes that nobody watches, remembered for WATCH_SETTLE; with more, each new watcher is looked after. */
export const MAX_UNWATCHED_PLANS = 20_000;
/** Between two counts of a backlog that somebody watches: each is a read of D1. */
export const DOMAIN_NEWS_PAUSE = 1_000;
/** A stream of events ends after this, and browsers open it again after a pause: whoever watches proves anew who they are. */
export const EVENT_STREAM_TIME = 15 * 60_000;
export const EVENT_STREAM_RETRY = 3_000;
/** Octets of a stream of events that its reader has not taken: then it ends, and its reader catches up. */
export const EVENT_STREAM_BUFFER = 64 * 1024;
/** A gateway whose watch broke off comes again after this at first, and at last; each pause doubles. */
export const FIRST_WATCH_RETRY = 500;
export const LAST_WATCH_RETRY = 60_000;
/** A gateway keeps a watch that nobody needs any more for this long: the next session of the mailbox is often near. */
export const WATCH_LINGER = 60_000;
