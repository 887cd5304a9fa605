/**
 * A shard (bindings `SHARD_0`, `SHARD_1` …): the index of archived mail and the portal's mailboxes of the accounts that
 * live on it. Rows written are what it costs: an integer key 1, each index 1, an FTS5 row 1; so there are no more indexes
 * than the counts in test/worker/costs.test.ts allow.
 */
import { isNotNull, isNull, sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** One a mailbox; the same number as in the directory. */
export const account = sqliteTable("account", {
  id: integer("id").primaryKey(),
  domain: integer("domain").notNull(),
  /** One counter for all: UID, MODSEQ, JMAP state. A change takes `seq + 1` in its own batch. */
  seq: integer("seq").notNull().default(0),
  /**
   * While the mailbox moves to another shard (move/): here it is `leaving` (each change is noted in `journal`), then `fenced`
   * (the triggers of the migration `moves` refuse every change), then `left` for ever; there it is `arriving`. Else null.
   */
  move: text("move", { enum: ["leaving", "fenced", "left", "arriving"] }),
  /**
   * The archive of the account, counted as far as somebody has looked (store/archive-folder.ts): messages with numbers up to
   * `countedTo`, and their octets. A trigger takes off what is purged of them; what is younger is counted when it is asked for.
   */
  archived: integer("archived").notNull().default(0),
  archivedSize: integer("archived_size").notNull().default(0),
  countedTo: integer("counted_to").notNull().default(0),
  /** The highest number that a purged message had: numbers never come twice. */
  archiveLast: integer("archive_last").notNull().default(0),
  /** Change records of this MODSEQ and before may be gone: whoever knows an older state has to begin anew. */
  purged: integer("purged").notNull().default(0),
  /** What `seq` was at `markedAt` (unix milliseconds): up to there change records go next, once that is long ago. */
  marked: integer("marked").notNull().default(0),
  markedAt: integer("marked_at").notNull().default(0),
});

/** What changed in an account that is leaving; written by triggers alone. Numbers never come twice: they are deleted by number. */
export const journal = sqliteTable("journal", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  account: integer("account").notNull(),
  kind: text("kind", { enum: ["folder", "message", "placement"] }).notNull(),
  /** The number of the row that was written or deleted. */
  row: integer("row").notNull(),
});

/** What the folders and messages of an account that is arriving are numbered here. */
export const arrival = sqliteTable(
  "arrival",
  {
    account: integer("account").notNull(),
    kind: text("kind", { enum: ["folder", "message"] }).notNull(),
    /** The row's number on the shard that it comes from. */
    source: integer("source").notNull(),
    target: integer("target").notNull(),
  },
  (t) => [primaryKey({ columns: [t.account, t.kind, t.source] })],
);

export const folder = sqliteTable(
  "folder",
  {
    id: integer("id").primaryKey(),
    account: integer("account").notNull(),
    /** 0 at the top. */
    parent: integer("parent").notNull().default(0),
    name: text("name").notNull(),
    role: text("role", { enum: ["inbox", "sent", "drafts", "trash", "junk", "archive"] }),
    uidvalidity: integer("uidvalidity").notNull(),
    subscribed: integer("subscribed", { mode: "boolean" }).notNull().default(true),
    /** MODSEQ of the last change of the folder itself: its name, its place, its subscription. */
    modseq: integer("modseq").notNull().default(0),
    /** MODSEQ at which it was made; 0: with the account. */
    created: integer("created").notNull().default(0),
    /** MODSEQ at which it was deleted; it has lost its name then (`char(2) || id`), so that the name is free. */
    gone: integer("gone"),
    /** What the request that made it was called by its caller: a repeat finds the folder by it. */
    request: text("request"),
    /** What is in it, kept by triggers on `placement` (migration `counts`): nobody else writes these. With \Deleted ones. */
    messages: integer("messages").notNull().default(0),
    /** Not \Seen (RFC 9051 §6.3.11). */
    unseen: integer("unseen").notNull().default(0),
    /** Neither \Seen nor \Draft nor \Deleted: `unreadEmails` of RFC 8621 §2. */
    unread: integer("unread").notNull().default(0),
    /** \Deleted. */
    deleted: integer("deleted").notNull().default(0),
    /** Octets. */
    size: integer("size").notNull().default(0),
    /** UIDNEXT: it changes when a message comes, and only then (RFC 9051 §2.3.1.1). */
    uidnext: integer("uidnext").notNull().default(1),
    /** HIGHESTMODSEQ of what is or was in it (RFC 7162 §3.1.2). */
    highest: integer("highest").notNull().default(0),
  },
  (t) => [
    uniqueIndex("folder_name").on(t.account, t.parent, t.name),
    uniqueIndex("folder_role").on(t.account, t.role).where(isNotNull(t.role)),
  ],
);

/** An archived message, one row for each account that it concerns; the raw octets are in R2 under `key`. */
export const message = sqliteTable(
  "message",
  {
    /** In the order of arrival, whenever the row was written: see store/numbers.ts. */
    id: integer("id").primaryKey(),
    account: integer("account").notNull(),
    /** Message-ID without angle brackets; a fresh ULID where the message has none (then it never repeats). */
    mid: text("mid").notNull(),
    /** What makes it the same message: see core/once.ts. */
    once: text("once").notNull(),
    /** Shared by the messages of a conversation within an account. */
    thread: integer("thread").notNull(),
    direction: text("direction", { enum: ["in", "out"] }).notNull(),
    /** When it was received, unix milliseconds. */
    at: integer("at").notNull(),
    /** Octets in R2. */
    size: integer("size").notNull(),
    /** R2 key, made by archive/raw.ts alone. */
    key: text("key").notNull(),
    /** Header From, display form. */
    sender: text("sender").notNull(),
    subject: text("subject").notNull(),
    preview: text("preview").notNull(),
    /** JSON, see `MessageMeta` in archive/meta.ts: the envelope, addresses, references, attachments. */
    meta: text("meta").notNull(),
    /**
     * JSON, see core/mime/structure-form.ts: what IMAP and JMAP say of its parts. Null where it is too long, or where the row is
     * older than this column: then the octets say it. No list reads it.
     */
    structure: text("structure"),
    /**
     * Its UID in the account's archive folder: 1, 2, 3 … in the order in which they were indexed (numbers.ts). -1 (`OWN`): its
     * owner put it into a folder (APPEND, a draft); it neither came nor went, and the archive does not have it. Who writes 0 knows
     * of no such numbers (the version before): a trigger gives the next one.
     */
    number: integer("number").notNull().default(0),
  },
  (t) => [
    uniqueIndex("message_once").on(t.account, t.mid, t.once),
    index("message_account").on(t.account, t.number),
    index("message_thread").on(t.thread),
    // Copies that retention made for the portal are deleted with the last row that has them; an archived message costs nothing here.
    index("message_kept").on(t.key).where(sql`${t.key} >= 'mail/'`),
  ],
);

/** A message in a folder of the portal. `id = folder * 2^32 + uid`. A removed one stays as a change record (`gone`). */
export const placement = sqliteTable(
  "placement",
  {
    id: integer("id").primaryKey(),
    account: integer("account").notNull(),
    message: integer("message").notNull(),
    /** MODSEQ of its last change. */
    modseq: integer("modseq").notNull(),
    /** MODSEQ at which it came to be here. */
    created: integer("created").notNull(),
    /** Bits, see store/flags.ts. */
    flags: integer("flags").notNull().default(0),
    /** JSON array of keywords, or null. */
    keywords: text("keywords"),
    /** MODSEQ at which it left, or null while it is here. */
    gone: integer("gone"),
    /**
     * In the backlog: `domain * 2^32 + unix seconds of arrival`; refused by the origin: the same, negative; else null.
     * One partial index so gives a domain's backlog, oldest first, and its refused mail.
     */
    waiting: integer("waiting"),
    /** JSON of the origin's reply where it refused the message. */
    refusal: text("refusal"),
    /** INTERNALDATE, unix milliseconds, where it differs from the message's arrival (APPEND). */
    internalAt: integer("internal_at"),
    /** What the request that made it was called by its caller (a copy, an APPEND): a repeat finds the placement by it. */
    request: text("request"),
    /** Where a move took the message: the number of its placement there, so that a repeat of the move finds it. */
    went: integer("went"),
  },
  (t) => [
    // What is in a folder, without what has left it: after a failback that would be most of it.
    index("placement_live").on(t.id).where(isNull(t.gone)),
    index("placement_account").on(t.account, t.modseq),
    index("placement_message").on(t.message),
    index("placement_waiting").on(t.waiting).where(isNotNull(t.waiting)),
  ],
);

/**
 * Mail on its way out, one row a message; written in one batch with its recipients and with the sender's own copy. What is finished
 * stays for OUTGOING_DAYS, so that a repeated request is known.
 */
export const outgoing = sqliteTable(
  "outgoing",
  {
    id: integer("id").primaryKey(),
    /** The number of the domain that sends it. */
    domain: integer("domain").notNull(),
    /** Whose it is; negative (`-domain`) where it is no mailbox's, such as what an origin relays for others. */
    account: integer("account").notNull(),
    /** What the request is called: by its caller, else by what it brought. A repeat finds the message by it. */
    request: text("request").notNull(),
    /** Message-ID without angle brackets, or the receipt's ULID: with `request` it names the row in `message`. */
    mid: text("mid").notNull(),
    /** R2 key. */
    key: text("key").notNull(),
    /** Octets in R2. */
    size: integer("size").notNull(),
    /** Envelope sender, empty for `<>`. */
    sender: text("sender").notNull(),
    subject: text("subject").notNull(),
    /** JSON, see `OutgoingFacts` in send/contract.ts. */
    facts: text("facts").notNull(),
    /** Unix milliseconds. */
    createdAt: integer("created_at").notNull(),
    /** When the sender was told that it takes longer, unix milliseconds; 0: not yet. */
    warnedAt: integer("warned_at").notNull().default(0),
  },
  (t) => [uniqueIndex("outgoing_request").on(t.account, t.request)],
);

/** Each recipient has a state of its own. */
export const outgoingRecipient = sqliteTable(
  "outgoing_recipient",
  {
    id: integer("id").primaryKey(),
    outgoing: integer("outgoing").notNull(),
    /** As it goes into RCPT TO. */
    recipient: text("recipient").notNull(),
    /** `cancelled`: an administrator took it out of the queue. */
    state: text("state", { enum: ["waiting", "delivered", "refused", "expired", "cancelled"] }).notNull(),
    attempts: integer("attempts").notNull().default(0),
    /**
     * When there is something to do: `domain * 2^32 + unix seconds`; null: never again. While it waits, the next try; what was
     * refused or has expired stays due until its sender has been told.
     */
    due: integer("due"),
    /** Of the last change, unix milliseconds. */
    at: integer("at").notNull(),
    /** JSON of the last outcome, see `Outcome` in core/outcome.ts; null before the first. */
    outcome: text("outcome"),
  },
  (t) => [index("outgoing_due").on(t.due).where(isNotNull(t.due)), index("outgoing_recipient_outgoing").on(t.outgoing)],
);

/** Under what name, with which signature and reply address somebody writes (RFC 8621 §6). Nothing is written here by mail. */
export const identity = sqliteTable(
  "identity",
  {
    account: integer("account").notNull(),
    /** `own`: that of the mailbox's own address, which is always there (person/identities.ts); else a ULID. */
    id: text("id").notNull(),
    /** The mailbox's own address, or an alias. */
    email: text("email").notNull(),
    name: text("name").notNull(),
    /** JSON lists of `{name, address}`. */
    replyTo: text("reply_to").notNull(),
    bcc: text("bcc").notNull(),
    textSignature: text("text_signature").notNull(),
    htmlSignature: text("html_signature").notNull(),
    /** One of an account's at most; where none is, `own` is the default. */
    chosen: integer("chosen", { mode: "boolean" }).notNull().default(false),
  },
  (t) => [primaryKey({ columns: [t.account, t.id] })],
);

/**
 * What somebody wants done with mail that comes into their portal inbox in emergency mode: senders are told that they are away
 * (RFC 8621 §8), copies go to a private address. No row: nothing.
 */
export const onArrival = sqliteTable("on_arrival", {
  account: integer("account").primaryKey(),
  /** The vacation notice is on. */
  answers: integer("answers", { mode: "boolean" }).notNull().default(false),
  /** Unix milliseconds of arrival, from and before; null: no bound. */
  fromAt: integer("from_at"),
  toAt: integer("to_at"),
  subject: text("subject"),
  text: text("text"),
  html: text("html"),
  /** The private address, confirmed; null: none. */
  forwardTo: text("forward_to"),
  /** One that is to be confirmed: the SHA-256 of its code, when it was sent (unix milliseconds), and wrong codes since. */
  askedAddress: text("asked_address"),
  askedCode: text("asked_code"),
  askedAt: integer("asked_at"),
  askedWrong: integer("asked_wrong").notNull().default(0),
});

/** A message of an account with `on_arrival`, in the batch that put it into the inbox; gone when all is done (send/follow-ups.ts). */
export const followUp = sqliteTable(
  "follow_up",
  {
    message: integer("message").primaryKey(),
    account: integer("account").notNull(),
    /** `domain * 2^32 + unix seconds`. */
    due: integer("due").notNull(),
    attempts: integer("attempts").notNull().default(0),
  },
  (t) => [index("follow_up_due").on(t.due)],
);

/** Whom an account has told that its owner is away, and when (unix milliseconds). Purged once NOTICE_AGAIN is over. */
export const told = sqliteTable(
  "told",
  {
    account: integer("account").notNull(),
    /** The envelope's sender, in normal form. */
    sender: text("sender").notNull(),
    at: integer("at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.account, t.sender] })],
);
