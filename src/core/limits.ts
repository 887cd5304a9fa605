/**
 * Every cap and every wait, with its reason. Times in milliseconds, sizes in octets.
 * The waits of one inbound message add up to less than 45 s: `email()` has about 50 s.
 */

/** Email Routing's own limit. */
export const MAX_MESSAGE_BYTES = 25 * 1024 * 1024;
/** Up to this a message is buffered, beyond it streams (128 MB are an isolate's, shared by all its invocations). */
export const MAX_BUFFERED_BYTES = 1024 * 1024;
/** Message octets that an isolate holds at once; beyond it a temporary failure. */
export const MAX_ISOLATE_BYTES = 48 * 1024 * 1024;
/** RFC 5321 §6.3: more is a loop. */
export const MAX_RECEIVED_HEADERS = 100;
/** RFC 5321 §4.5.3.1.8: a server must take at least 100. */
export const MAX_RECIPIENTS = 100;
/** R2 holds 8,192 octets of custom metadata; the envelope of all recipients must fit beside the rest. */
export const MAX_ENVELOPE_METADATA_BYTES = 7_000;
/** RFC 5321 §4.5.3.1.3: path, with angle brackets. */
export const MAX_PATH_BYTES = 256;
/** RFC 5321 §4.5.3.1.1. */
export const MAX_LOCAL_BYTES = 64;
/** RFC 5321 §4.5.3.1.2. */
export const MAX_DOMAIN_BYTES = 255;
/** RFC 1035 §2.3.4. */
export const MAX_LABEL_BYTES = 63;
/** The trace block and the header are looked for in this many octets; no sane header is larger. */
export const MAX_HEADER_BYTES = 256 * 1024;
/** A repeat is recognised for this long: senders give up after 4 to 5 days (RFC 5321 §4.5.4.1). */
export const REPEAT_WINDOW = 5 * 24 * 3600_000;

/** The domain's object, then D1, each for the plan. */
export const PLAN_TIMEOUT = 2_000;
/** One write to R2 (a stream: between two chunks). */
export const STORE_TIMEOUT = 10_000;
/** One batch to D1. */
export const INDEX_TIMEOUT = 5_000;

/** TCP connection to the origin. */
export const CONNECT_TIMEOUT = 5_000;
/** Greeting, from the connection to its last line (tarpits of 5 s are common). */
export const GREETING_TIMEOUT = 10_000;
/** Reply to EHLO, STARTTLS with its handshake, AUTH, NOOP. */
export const COMMAND_TIMEOUT = 8_000;
/** Reply to MAIL, RCPT: greylisting look-ups and callouts take time. */
export const RECIPIENT_TIMEOUT = 10_000;
/** Reply to DATA. */
export const DATA_TIMEOUT = 8_000;
/** One chunk of the message written to the socket. */
export const WRITE_TIMEOUT = 10_000;
/** All of the conversation with the origin while a sender waits; what does not fit goes on in the background. */
export const RECEIVE_BUDGET = 30_000;
/** Reply to the final dot in a run in the background (RFC 5321 §4.5.3.2.6). */
export const FINAL_TIMEOUT_BACKGROUND = 10 * 60_000;

/** All of a probe. */
export const PROBE_TIMEOUT = 10_000;
/** Between probes while the domain is in doubt or in emergency mode. */
export const PROBE_IN_DOUBT = 5_000;

/** SMTP connections to an origin in one failback run. */
export const MAX_FAILBACK_CONNECTIONS = 4;
/** Messages in one slice of a run. */
export const MAX_SLICE_MESSAGES = 500;
/** A slice ends after this and the alarm goes on with the next: probes come in between. */
export const SLICE_TIME = 20_000;
/** The first pause of a deferred message, and the last. */
export const FIRST_RETRY = 30_000;
export const LAST_RETRY = 15 * 60_000;

/** Days in the archive: D1 purges at 90, R2's rule is one day later. */
export const ARCHIVE_DAYS = 90;
/** What the portal still references is copied to `mail/` at this age. */
export const KEEP_DAYS = 85;

/** Skew allowed between a gateway's clock and ours. */
export const GATEWAY_CLOCK_SKEW = 120_000;
/** One binary frame of a message from the gateway. */
export const GATEWAY_FRAME_BYTES = 64 * 1024;
/** Frames that a gateway may have under way before the Worker acknowledges. */
export const GATEWAY_WINDOW = 8;
