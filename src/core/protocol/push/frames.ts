/**
 * What a domain's object and whoever watches it say on a WebSocket.
 *
 *   object:  hello, and then changed …, archived …, domain …, ended …
 *   watcher: watch …, unwatch … (gateways, which name many mailboxes), and ping
 *
 * Text frames, JSON. Nothing that is said is kept for anybody: a watcher that was away tells what it knows last (`since`, or in
 * the address of a watcher of one mailbox) and hears `changed` where the mailbox has another state by now. So a frame may be
 * lost with its socket, come twice, or come late.
 *
 * `ping` is answered `pong` by the platform, without waking the object. A watcher pings every WATCH_PING, but not before its
 * last ping was answered: a ping so says that everything sent before that answer has been read. The object drops a watcher
 * that does not ping (WATCH_SILENCE), and one to which too much was sent since its last ping (WATCH_UNREAD_BYTES).
 */
import { z } from "zod";
import type { Result } from "../../result.ts";
import { readFrame } from "../gateway/frames.ts";
import { WATCH_PAGE } from "./limits.ts";

export const PING = "ping";
export const PONG = "pong";

/** The number of a mailbox; that of its account on the shard too. */
const account = z.int().min(1);
/** The account's counter: UID, MODSEQ and JMAP state in one. */
const seq = z.int().min(0);

const watcherFrame = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("watch"),
    /** `since`: the last known state; null: none is known. */
    accounts: z
      .array(z.strictObject({ account, since: seq.nullable() }))
      .min(1)
      .max(WATCH_PAGE),
  }),
  z.strictObject({ op: z.literal("unwatch"), accounts: z.array(account).min(1).max(WATCH_PAGE) }),
]);

/**
 * `moved`: the mailbox lives on another shard now, what is known of its place is old; `login`: its password or login was
 * changed, whoever came in by the old one has to come again; `gone`: there is no such mailbox in the domain.
 */
const why = z.enum(["moved", "login", "gone"]);

const domainFrame = z.strictObject({
  op: z.literal("domain"),
  mode: z.enum(["normal", "emergency"]),
  /** Unix milliseconds. */
  since: z.number(),
  cause: z.string(),
  /** Messages; null: they could not be counted. */
  backlog: z.strictObject({ waiting: z.int(), refused: z.int() }).nullable(),
  /** The failback run under way, or null. */
  run: z.strictObject({ startedAt: z.number(), delivered: z.int(), refused: z.int(), deferred: z.int() }).nullable(),
});

const objectFrame = z.discriminatedUnion("op", [
  /** From here on nothing is missed. */
  z.strictObject({ op: z.literal("hello") }),
  /** `seq` null: it could not be read; whoever wants to know has to look. */
  z.strictObject({ op: z.literal("changed"), account, seq: seq.nullable() }),
  /**
   * A message has come into its archive and into no folder, so its state is the same. What was missed of this is not made up for:
   * whoever shows an archive looks when they connect.
   */
  z.strictObject({ op: z.literal("archived"), account }),
  /** Nothing more is said of this mailbox, unless it is watched anew. */
  z.strictObject({ op: z.literal("ended"), account, why }),
  domainFrame,
]);

export type WatcherFrame = z.infer<typeof watcherFrame>;
export type ObjectFrame = z.infer<typeof objectFrame>;
export type DomainFrame = z.infer<typeof domainFrame>;
export type EndReason = z.infer<typeof why>;

export const readWatcherFrame = (text: string): Result<WatcherFrame, string> => readFrame(watcherFrame, text);
export const readObjectFrame = (text: string): Result<ObjectFrame, string> => readFrame(objectFrame, text);
export const writePushFrame = (frame: WatcherFrame | ObjectFrame): string => JSON.stringify(frame);
