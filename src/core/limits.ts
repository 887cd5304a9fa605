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
/** The header of a part within a message: some hundred times what the longest has. */
export const MAX_PART_HEADER_BYTES = 32 * 1024;
/** Multiparts and messages within each other: mail forwarded thirty times is no mail any more. */
export const MAX_MIME_DEPTH = 100;
/** Parts of one message that are looked at; each costs some kilobytes while it is read. */
export const MAX_MIME_PARTS = 2_000;
/** Characters of field bodies that the structure of one message holds in memory, over all parts; real mail has some thousands. */
export const MAX_STRUCTURE_FIELDS = 1024 * 1024;
/**
 * Characters of the structure in a message's row, of which each recipient has one; a longer one is made from the octets when it is
 * asked for. A hundred rows in one batch stay well below the 30 MB that D1 takes.
 */
export const MAX_STRUCTURE = 64 * 1024;

/** Characters of text that one batch brings to the full-text index, over all its recipients: D1 takes some 30 MB at once. */
export const MAX_INDEX_TEXT = 2 * 1024 * 1024;
/** A Message-ID that is longer than a line (RFC 5322 §2.1.1) is none: it is part of a key. */
export const MAX_IDENTIFIER = 998;
/** Messages that one refers to, looked for to find its conversation: the nearest are last (RFC 5322 §3.6.4). */
export const MAX_THREAD_REFERENCES = 20;

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
/**
 * A conversation in which the sender has paused for this long may have been ended by the origin: servers under load wait 10 s
 * for a command, others 1 to 5 minutes (RFC 5321 §4.5.3.2.7 asks for 5). Then it is begun once more, and is no evidence.
 */
export const STALE_CONVERSATION = 8_000;
/** All of the conversation with the origin while a sender waits; what does not fit goes on in the background. */
export const RECEIVE_BUDGET = 30_000;
/** Reply to the final dot in a run in the background (RFC 5321 §4.5.3.2.6). */
export const FINAL_TIMEOUT_BACKGROUND = 10 * 60_000;
/**
 * What a sender at the MX port waits for the reply to the final dot beyond RECEIVE_BUDGET, where its message cannot be stored
 * meanwhile. With the budget and our own stores less than GATEWAY_FINAL_TIMEOUT; RFC 5321 §4.5.3.2.6 gives 10 minutes.
 */
export const SENDER_FINAL_PATIENCE = 210_000;
/** All of a message in `email()`, which has about 50 s. */
export const EMAIL_TIME = 45_000;
/** Redelivery leaves a message alone for this long after the last moment at which its late reply can come: it must be told too. */
export const LATE_FINAL_MARGIN = 60_000;
/** An origin that was late at the final dot counts as slow for this long: mail that `email()` brings is then connected by a keeper. */
export const SLOW_ORIGIN_MEMORY = 24 * 3600_000;
/** It is noted again where the note is this old: a write a message would be too many. */
export const SLOW_ORIGIN_NEWS = 3600_000;
/** One step of a keeper's: the longest of a conversation (GREETING_TIMEOUT, RECIPIENT_TIMEOUT, WRITE_TIMEOUT), and some room. */
export const KEEPER_STEP = 12_000;
/** A keeper's answer that it is connected; then the Worker connects itself, with the other half of RECEIVE_BUDGET. */
export const KEEPER_OPEN = 15_000;
/** A keeper that hears nothing between two steps hangs up: the Worker has ended. Longer than a store may take in between. */
export const KEEPER_IDLE = 60_000;
/** One telling of a late reply to the domain's object, which settles it in D1, and the pause before the second; each doubles. */
export const LATE_FINAL_TELL = 15_000;
export const LATE_FINAL_PAUSE = 1_000;
/** Tellings in all: within LATE_FINAL_MARGIN where the object fails at once. */
export const LATE_FINAL_TRIES = 5;

/** A reply line; RFC 5321 §4.5.3.1.5 says 512, servers in the field send more. */
export const MAX_REPLY_LINE_BYTES = 4_096;
/** Lines of one reply: announcements run to some 20, policy texts to some 50. */
export const MAX_REPLY_LINES = 200;
/** A command line that we send; RFC 5321 §4.5.3.1.4 says 512 and lets extensions add to it (RFC 6531 §3.4 …). */
export const MAX_COMMAND_BYTES = 1_000;
/** Octets of the message in one write: what a timer watches over, and what the encoder copies at once. */
export const WRITE_PIECE_BYTES = 64 * 1024;
/** A body must move on average at this rate, octets a second: 25 MiB take at most 13 min 30 s, a run in the background has 15. */
export const BODY_RATE = 32 * 1024;
/** A word that the other side may have sent before it cut us off, or fell silent: it is there already or never comes. */
export const EARLY_REPLY_TIMEOUT = 500;
/** QUIT on its way out; nobody waits for its reply. */
export const QUIT_TIMEOUT = 1_000;

/** All of a probe. */
export const PROBE_TIMEOUT = 10_000;
/** Between probes of a healthy origin, where PROBE_SECONDS says nothing else. */
export const PROBE_HEALTHY = 30_000;
/** Between probes while the domain is in doubt or in emergency mode. */
export const PROBE_IN_DOUBT = 5_000;

/** Failover: this many strong pieces of evidence with nothing good in between … */
export const FAILOVER_EVIDENCE = 2;
/** … over at least this time from the beginning of the first: a daemon that restarts in 5 s does not flip a domain. */
export const FAILOVER_SPAN = 15_000;
/** Deferrals of this many different recipients … */
export const DEFERRED_RECIPIENTS = 3;
/** … within this time are one strong piece. */
export const DEFERRAL_WINDOW = 60_000;
/** Evidence counts this long: that of mail not taken no probe can settle, only a delivery. */
export const EVIDENCE_MEMORY = 5 * 60_000;
/** Failback: good probes without a break for this long, doubled by each flap … */
export const STEADY_TIME = 20_000;
/** … up to this. */
export const MAX_STEADY_TIME = 30 * 60_000;
/** A failover this soon after the last failback is a flap; as much quiet takes one flap back. */
export const FLAP_WINDOW = 3600_000;

/** SMTP connections to an origin in one failback run: as many as Postfix opens to one destination unless told otherwise. */
export const MAX_FAILBACK_CONNECTIONS = 20;
/** Of them in one invocation, which has six connections: the others read R2 and probe. */
export const CONNECTIONS_PER_INVOCATION = 4;
/** Messages in one slice of a run, in one invocation. */
export const MAX_SLICE_MESSAGES = 500;
/** A slice ends after this and the alarm goes on with the next, far below the 15 minutes that it has. */
export const SLICE_TIME = 60_000;
/** Objects of R2 read at the same time for a slice: in the domain's object, which probes too, and in another invocation. */
export const READS_AT_ONCE = { object: 1, carrier: 2 };
/** In a run that goes well the mode machine hears of a delivery this often: each would be the same evidence. */
export const GOOD_NEWS_AGAIN = 500;
/** When a message's final dot is due and the octets of the next are not there yet: so long, then it goes without announcing. */
export const UPCOMING_PATIENCE = 100;
/** The domain's object takes reports and claims: SQLite, and a page of the backlog from D1, twice. */
export const EXCHANGE_TIMEOUT = 2 * INDEX_TIMEOUT + 2_000;
/** All of one connection's work in another invocation: a slice and a large message. An alarm has 15 minutes. */
export const CARRY_TIMEOUT = 14 * 60_000;
/** What other invocations have to say when they are called back; a final reply may just be on its way. */
export const RECALL_PATIENCE = 2_000;
export const RECALL_TIMEOUT = 5_000;
/** The first pause of a deferred message, and the last. */
export const FIRST_RETRY = 30_000;
export const LAST_RETRY = 15 * 60_000;
/** A pause is this part shorter or longer, by chance. */
export const RETRY_JITTER = 0.2;
/** A run that was cut off although messages had gone out goes on this soon: many servers allow so many a connection. */
export const RUN_PAUSE = 5_000;
/** Deferrals in a row, of different recipients, that end a run: then it is the server, not the mailbox. */
export const MAX_DEFERRALS_IN_A_ROW = 5;
/** Messages that must go well before a run takes more connections, at least. */
export const MESSAGES_PER_RAMP = 5;
/** What was delivered is remembered this long after D1 was told, for a placement of the same message that D1 shows late. */
export const FLIGHT_MEMORY = 3600_000;
/** A person's action on a waiting message blocks its redelivery at most this long, should nobody settle it. */
export const WITHDRAWAL_TIME = 60_000;
/** A claim on a message that waits: longer than the largest message and its final reply can take. */
export const FLIGHT_LEASE = (MAX_MESSAGE_BYTES / BODY_RATE) * 1000 + FINAL_TIMEOUT_BACKGROUND + 60_000;
/** Rows of the backlog read from a shard at once, and placements settled at once. */
export const BACKLOG_PAGE = 100;

/** Whole hours that the first sweep for archive copies without a row looks back; each later one goes on where the last ended. */
export const MEND_HOURS = 3;
/** Hours that one sweep makes up for, where cron stood still: each costs a list of R2 and a read of D1. */
export const MEND_HOURS_A_RUN = 48;
/** An hour in which something cannot be mended is looked at again for this long; then it must not hold the others up. */
export const MEND_GIVE_UP = 24 * 3600_000;
/** Days in the archive: D1 purges at 90, R2's rule is one day later. */
export const ARCHIVE_DAYS = 90;
/** What the portal still references is copied to `mail/` at this age. */
export const KEEP_DAYS = 85;
/** What became of a message is remembered as long as its octets can lie under R2's rule, and a day for the rule's own pace. */
export const FATE_DAYS = 92;
/** Objects that one step of a reindex looks at, and copies that it indexes: D1 counts some five statements for each. */
export const REINDEX_PAGE = 100;
export const REINDEX_COPIES = 150;
/** Messages that are read, and then indexed, together. */
export const REINDEX_GROUP = 20;
/** A step begins no further message after this: its answer is due within ANSWER_TIMEOUT. */
export const REINDEX_TIME = 6_000;
/** Mail that came less than this ago may be under way still: an inbound message takes 60 s at the most. */
export const REINDEX_GRACE = 120_000;
/** Mailboxes whose accounts one step of a reindex makes. */
export const REINDEX_ACCOUNTS = 1_000;
/**
 * Messages whose full text is made anew in one run of the cron, each minute, and the time in which a further one is begun: a read of R2
 * each and a few statements for twenty of them, of the 10,000 requests and 30 s of CPU that an invocation has.
 */
export const RENEWAL_ROWS = 1_000;
export const RENEWAL_TIME = 25_000;
/** What one step tells of by name; the others are counted. */
export const REINDEX_PROBLEMS = 100;

/** Skew allowed between a gateway's clock and ours. */
export const GATEWAY_CLOCK_SKEW = 120_000;
/** One binary frame of a message from the gateway. */
export const GATEWAY_FRAME_BYTES = 64 * 1024;
/** Frames that a gateway may have under way before the Worker acknowledges. */
export const GATEWAY_WINDOW = 8;

/** A session ends after this: people who run domains sign in each working day, users stay through an outage. */
export const ADMINISTRATOR_SESSION = 12 * 3600_000;
export const USER_SESSION = 14 * 24 * 3600_000;
/** Wrong passwords for one login from one address before it must wait. */
export const FREE_SIGN_IN_FAILURES = 5;
/** Wrong passwords from one address, whatever the login. */
export const FREE_ADDRESS_FAILURES = 50;
/** The first wait after that; it doubles with each further failure up to the last. */
export const FIRST_SIGN_IN_WAIT = 2_000;
export const LAST_SIGN_IN_WAIT = 15 * 60_000;
/** Logins and addresses that an isolate remembers failures of; the oldest go first. */
export const MAX_THROTTLED = 10_000;
/** All of an answer to a person or script; what hangs is answered 503. */
export const ANSWER_TIMEOUT = 20_000;
/** One look at a binding for GET /api/health. */
export const HEALTH_TIMEOUT = 2_000;
/** Items of a page of a list, unless asked for, and at most. */
export const DEFAULT_PAGE = 50;
export const MAX_PAGE = 200;
/** Mailboxes in one request: its statements fit one D1 batch. */
export const MAX_IMPORT_MAILBOXES = 1_000;
/** Passwords in one request: each costs about a tenth of a second of processor time, of which an invocation has 30. */
export const MAX_IMPORT_PASSWORDS = 100;
/** Aliases of one mailbox. */
export const MAX_ALIASES = 100;
/** Body of a request to the API, but for mail. */
export const MAX_REQUEST_BYTES = 1024 * 1024;
/** Waiting messages that one request takes out of the backlog; one D1 batch settles them. */
export const MAX_RELEASE = 500;
/** The upgrade to the WebSocket of one transaction; a Worker that is up answers in well under a second. */
export const GATEWAY_CONNECT_TIMEOUT = 5_000;
/** The Worker's reply to a recipient: connect, greeting, EHLO, STARTTLS, AUTH, MAIL and RCPT at the origin, each within its limit. */
export const GATEWAY_RECIPIENT_TIMEOUT = 45_000;
/** Between two frames of the message: the gateway has all of it in memory. */
export const GATEWAY_FRAME_TIMEOUT = 20_000;
/**
 * Between two acknowledgements of it: the origin may take all of RECEIVE_BUDGET over one of them, and R2 STORE_TIMEOUT; what
 * is not taken by then goes to the portal.
 */
export const GATEWAY_ACK_TIMEOUT = RECEIVE_BUDGET + STORE_TIMEOUT + 5_000;
/**
 * The Worker's reply after its last octet: RECEIVE_BUDGET, SENDER_FINAL_PATIENCE and our own stores. Below MX_IDLE_TIMEOUT,
 * after which the MX port hangs up on the sender.
 */
export const GATEWAY_FINAL_TIMEOUT = 285_000;
/** What the Worker goes on with behind its reply: the wait for a late final reply, and to tell of it. */
export const GATEWAY_AFTERWARDS = FINAL_TIMEOUT_BACKGROUND + LATE_FINAL_MARGIN;
/** Pings keep the path open while a sender thinks: Cloudflare closes a WebSocket that is silent for 100 s. */
export const GATEWAY_PING = 30_000;
/** Nonces that an isolate remembers; at the limit the oldest go (their time stamp bounds them too). */
export const GATEWAY_NONCES = 20_000;
/** Octets of messages that a gateway holds at once over all connections; beyond it a temporary failure. */
export const GATEWAY_MEMORY_BYTES = 256 * 1024 * 1024;
/** RFC 5321 §4.5.3.2.7: a server waits at least 5 minutes for the next command. */
export const MX_IDLE_TIMEOUT = 5 * 60_000;
/** All of one message's octets, from 354 to the final dot: 25 MiB at 15 kB/s. */
export const MX_MESSAGE_TIMEOUT = 30 * 60_000;
/**
 * A transaction without a frame for this long is left: a gateway has nothing to say while its sender pauses (MX_IDLE_TIMEOUT), nor
 * until it has all of the message.
 */
export const GATEWAY_IDLE_TIMEOUT = MX_MESSAGE_TIMEOUT + 60_000;
/** A sender that ends its message with bare line feeds waits for a reply: it gets its refusal after this much silence. */
export const MX_BARE_LINE_PAUSE = 5_000;
/** Messages under way when a gateway is told to stop; the process is given 10 s. */
export const MX_CLOSE_TIMEOUT = 8_000;
/** Connections to the MX port in all, and from one address (of IPv6: from one network of 64 bits). */
export const MX_CONNECTIONS = 1_000;
export const MX_CONNECTIONS_PER_ADDRESS = 50;
/** RFC 5321 §4.5.3.1.4 asks for 512, and RFC 6531 and RFC 3461 add to it. */
export const MX_COMMAND_BYTES = 4_096;

/** One binary frame of a connection to an origin through a gateway. */
export const TUNNEL_FRAME_BYTES = 64 * 1024;
/** Octets under way in one direction of it; both ends hold them in memory. At 100 ms between them it carries 5 MB/s. */
export const TUNNEL_WINDOW = 512 * 1024;
/** A gateway says this often that it is there … */
export const TUNNEL_ALIVE = 2_000;
/** … and is given up after so long without a word: sooner than any wait for an origin, so that it is not blamed. */
export const TUNNEL_SILENCE = 6_000;
/** Without a frame from the Worker for this long the gateway leaves: longer than the longest wait, that for a final reply. */
export const TUNNEL_IDLE_TIMEOUT = 11 * 60_000;
/** A gateway that failed comes last for this long. */
export const GATEWAY_REST = 30_000;
/**
 * The search for a gateway that connects begins with no further one after this; one takes up to GATEWAY_CONNECT_TIMEOUT and
 * TUNNEL_SILENCE. Less than RECEIVE_BUDGET together, or the origin would be blamed for gateways that do not answer.
 */
export const GATEWAY_SEARCH = 15_000;
/** Connections to origins that a gateway holds at once. */
export const RELAY_CONNECTIONS = 500;
/** Of them to one host: a server that thinks 10 minutes about each message must not take all of them. */
export const RELAY_CONNECTIONS_PER_HOST = 200;
/** A name server's answer to a gateway, doubled by the second try: the origin has the rest of CONNECT_TIMEOUT. */
export const NAME_SERVER_TIMEOUT = 1_000;
export const NAME_SERVER_TRIES = 2;
/** One of several addresses of an origin, before the next: a server under load may lose the first packet, which comes again after 1 s. */
export const TUNNEL_ADDRESS_TIMEOUT = 1_500;
/** Connections to the MX port in one minute from one address (of IPv6: from one network of 64 bits), loopback and listed proxies aside. */
export const MX_CONNECTION_RATE = 600;

/** Rows of addresses read from D1 at once. */
export const ADDRESS_PAGE = 1_000;
/** Probes that a domain's object remembers: over four hours of healthy ones, forty minutes in doubt. */
export const PROBES_KEPT = 500;
/** Addresses remembered as seen and not registered: an origin that accepts everything must not fill the object. */
export const MAX_SEEN_ADDRESSES = 5_000;
/** A seen address is reported again after this long: the list shows who still gets mail, without a report for each message. */
export const SEEN_AGAIN = 24 * 3600_000;
/** Before D1 is told of a mode change again. */
export const MODE_RETRY = 5_000;
/** A person who changes the mode waits this long for D1 to hear of it; then it hears in the background. */
export const MODE_TELL_TIME = 1_000;
/** Domains that cron wakes at the same time: six connections are an invocation's. */
export const MAX_WAKING = 5;

/** The log hears of one destination that mail cannot be forwarded to this often: it is one thing to mend, however much mail comes. */
export const FORWARD_NEWS_PAUSE = 3600_000;
/** Destinations that an isolate remembers having told of; Email Routing verifies 200 an account. */
export const MAX_FORWARD_NEWS = 1_000;

/** Reply to the final dot while a person waits for a redelivery from the archive. */
export const FINAL_TIMEOUT_REDELIVERY = 20_000;

/** Messages of a mailbox that are brought to another shard in one step: the octets of each are read for the full text. */
export const MOVE_PAGE = 50;
/** Placements, journal entries or rows to be cleared away in one step. */
export const MOVE_ROWS = 200;
/** Characters of JSON in one statement: D1 takes 2 MB a parameter. */
export const MAX_JSON_LIST = 500_000;
/** The octets of so many messages are read at the same time, of the six connections that an invocation has. */
export const MOVE_READS = 4;
/** One run of the mover; a minute later comes the next. */
export const MOVE_SLICE_TIME = 20_000;
/** Steps of one run, some twelve statements each: D1 takes 1,000 of an invocation. */
export const MOVE_SLICE_STEPS = 60;
/** Changes that may still be outstanding when a mailbox is fenced: they are brought over in about a second. */
export const MOVE_FENCE_AT = 20;
/** From the fence to the switch; then the fence is taken down, and the mailbox may be written where it was. */
export const MOVE_FENCE_TIME = 10_000;
/** A mover that says nothing for this long has died; its longest step takes half of it. */
export const MOVE_LEASE = 40_000;
/** After a failure. */
export const MOVE_RETRY = 30_000;
/** Copies of one move that turned out to differ from the original before a person has to look. */
export const MOVE_COPIES = 3;
/** The old rows stay so long after everybody knows of the move: a message that was planned before may take 30 minutes to come. */
export const MOVE_SETTLE = MX_MESSAGE_TIMEOUT + 15 * 60_000;
/** Mail that meets the fence waits so long for the switch, before its sender is told to come again … */
export const MOVE_PATIENCE = 3_000;
/** … and looks again after this. */
export const MOVE_POLL = 150;

/** Folders of one mailbox: listing reads them all. */
export const MAX_FOLDERS = 1_000;
/** Folders within each other; clients show some ten levels. */
export const MAX_FOLDER_DEPTH = 20;
/** Octets of a folder's name in UTF-8: what file systems of mail clients take. */
export const MAX_FOLDER_NAME_BYTES = 255;
/** Messages that one act moves, copies, marks or removes: one D1 batch, well below a second. */
export const MAX_ACT = 1_000;
/** Messages of one D1 batch of an act, and batches of one request that empties a folder: then it answers how many are left. */
export const EMPTY_BATCHES = 10;
/** Keywords of one message, and characters of one (RFC 8621 §4.1.1 allows 255 octets). */
export const MAX_KEYWORDS = 100;
export const MAX_KEYWORD = 255;
/** Change records are kept for at least so many days: whoever was away longer begins anew. */
export const CHANGE_DAYS = 30;
/** Changes that one answer tells of. */
export const MAX_CHANGES = 1_000;
/** Change records that one run of the purge takes of a shard. */
export const MAX_CHANGES_PURGED = 20_000;
/** Messages of an account's archive that are counted anew at each look; beyond it the count so far is remembered. */
export const ARCHIVE_UNCOUNTED = 500;
/** Characters of the name that a caller gives a request, so that its repeat is known. */
export const MAX_REQUEST_NAME = 128;
