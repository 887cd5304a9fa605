/**
 * A message's rows: in the archive and, where it goes there, in a portal inbox. One batch a shard, all or nothing; D1 counts its
 * statements against the 1,000 of an invocation, as far as is known, so what can be is said once for all.
 * Rows written: archive 5, portal 12, a repeat 0 (test/worker/store/costs.test.ts).
 */
import type { Envelope } from "../../core/envelope.ts";
import { MAX_INDEX_TEXT, REPEAT_WINDOW } from "../../core/limits.ts";
import { waitingSince } from "../store/backlog.ts";
import { SEEN } from "../store/flags.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { noteFollowUp } from "../store/follow-ups.ts";
import { firstNumberOf, nextArchiveNumber, nextNumber, OWN } from "../store/numbers.ts";
import { STATE, type Written } from "../store/states.ts";
import { columnValues, fullText, insertFullText } from "./full-text.ts";
import type { Extracted, MessageMeta, Receipt } from "./meta.ts";
import { threadMatch, threadTokens } from "./thread.ts";

export interface IndexEntry {
  readonly account: number;
  /** The domain's number. */
  readonly domain: number;
  readonly direction: "in" | "out";
  /** R2 key. */
  readonly key: string;
  /** Octets in R2. */
  readonly size: number;
  /** When it was received, unix milliseconds. */
  readonly at: number;
  readonly mid: string;
  readonly once: string;
  readonly extracted: Extracted;
  readonly receipt: Receipt;
  readonly envelope: Envelope;
  /** JSON of the origin's reply where the origin has refused it: then it does not wait any more. */
  readonly refusal?: string;
  /** Its owner puts it into a folder, or they are not covered: it is none of the archive's. */
  readonly own?: boolean;
  /** It arrives in emergency mode: what its owner wants done then (store/on-arrival.ts) is noted with it. */
  readonly arrives?: boolean;
  /** Of an outgoing message: all of its envelope's recipients. */
  readonly recipients?: readonly string[];
}

/** Where an owner's own message goes, and how it lies there. */
export interface OwnPlace {
  /** Should it be gone by then, the inbox takes its place: nothing is lost. */
  readonly folder: number;
  /** Bits, see store/flags.ts. */
  readonly flags: number;
  /** JSON list, or null. */
  readonly keywords: string | null;
  /** Unix milliseconds; null: now. */
  readonly internalAt: number | null;
}

type Portal = "waiting" | "again" | "sent" | OwnPlace;

export interface Indexed {
  readonly account: number;
  /** False: the index had it already, within REPEAT_WINDOW. */
  readonly isNew: boolean;
  /** Where its octets are: those of the first time, for a repeat. */
  readonly key: string;
  /** The account's new state where the message came into a folder. */
  readonly seq?: number;
  /** Something is to be done about it (send/follow-ups.ts). */
  readonly followUp?: boolean;
}

/**
 * Indexes one message for each entry's account; idempotent, since an entry is told by (account, mid, once).
 * @param portal also into the inbox; `waiting`: as part of the backlog, `again`: as what a person had delivered again; or into
 * the folder of what was sent, or where its owner puts it
 */
export async function indexMessage(
  db: D1Database,
  entries: readonly IndexEntry[],
  options: { readonly portal: false | Portal },
): Promise<Indexed[]> {
  if (entries.length === 0) return [];
  const { statements, indexed } = indexing(db, entries, options);
  return indexed(await db.batch<{ key: string; seq?: number }>(statements));
}

/** The same for a batch that does more: its statements, and what their results say. @param entries at least one */
export function indexing(
  db: D1Database,
  entries: readonly IndexEntry[],
  { portal }: { readonly portal: false | Portal },
): {
  readonly statements: D1PreparedStatement[];
  readonly indexed: (results: readonly D1Result<{ key: string; seq?: number }>[]) => Indexed[];
} {
  // The text travels once for each recipient: with many of them each has a smaller share.
  const share = Math.floor(MAX_INDEX_TEXT / entries.length);
  const first = portal ? ensureInboxes(db, entries) : [];
  const each = entries.map((entry) =>
    portal ? portalStatements(db, entry, share, portal) : archiveStatements(db, entry, share),
  );
  const indexed = (results: readonly D1Result<{ key: string; seq?: number }>[]) => {
    const keys = results.at(-1)?.results ?? [];
    let at = first.length + INSERT;
    return each.map((statements, index) => {
      const insert = results[at];
      const seq = portal ? results[at + 1]?.results[0]?.seq : undefined;
      const noted = statements.length > FOLLOW_UP ? results[at + FOLLOW_UP - INSERT] : undefined;
      at += statements.length;
      const key = keys[index]?.key;
      if (!insert || key === undefined) throw new Error("the index did not keep the message");
      const account = entries[index]?.account ?? 0;
      const followUp = (noted?.results.length ?? 0) > 0;
      const isNew = insert.meta.changes > 0;
      return { account, isNew, key, ...(seq === undefined ? {} : { seq }), ...(followUp ? { followUp } : {}) };
    });
  };
  return { statements: [...first, ...each.flat(), selectKeys(db, entries)], indexed };
}

/** The same, into a folder, for whoever tells those who watch it. */
export async function placeMessage(
  db: D1Database,
  entries: readonly IndexEntry[],
  portal: Portal,
): Promise<Written<Indexed[]>> {
  const value = await indexMessage(db, entries, { portal });
  return { value, states: value.flatMap(({ account, seq }) => (seq === undefined ? [] : [{ account, seq }])) };
}

/** Which of an entry's statements writes the message's row, and which notes what is to be done about it, where it arrives. */
const INSERT = 1;
const FOLLOW_UP = 5;

/** The older message of the same kind gives its place up; the row; its full text. */
function archiveStatements(db: D1Database, entry: IndexEntry, share: number): D1PreparedStatement[] {
  return [retire(db, entry), insertMessage(db, entry), insertText(db, entry, share)];
}

/** The same with a place in a folder. Each step hangs on the one before (`changes()`), so that a repeat writes nothing. */
function portalStatements(db: D1Database, entry: IndexEntry, share: number, portal: Portal): D1PreparedStatement[] {
  const { account, domain, at, refusal } = entry;
  const since = waitingSince(domain, at);
  const waiting = portal === "waiting" ? (refusal === undefined ? since : -since) : null;
  const own = typeof portal === "object" ? portal : null;
  const arrives = portal === "waiting" && entry.arrives === true;
  return [
    retire(db, entry),
    insertMessage(db, entry),
    db.prepare(`UPDATE account SET seq = seq + 1 WHERE id = ?1 AND changes() > 0 ${STATE}`).bind(account),
    db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created, waiting, refusal, flags, keywords, internal_at)
         SELECT (SELECT id FROM folder WHERE account = ?1 AND gone IS NULL AND (id = ?5 OR role IN (?4, 'inbox'))
                 ORDER BY role IS 'inbox' LIMIT 1) * ${FOLDER_STRIDE} + seq,
           id, last_insert_rowid(), seq, seq, ?2, ?3, ?6, ?7, ?8
         FROM account WHERE id = ?1 AND changes() > 0`,
      )
      .bind(
        account,
        waiting,
        refusal ?? null,
        portal === "sent" ? "sent" : "inbox",
        own?.folder ?? 0,
        // What somebody wrote they have read.
        own?.flags ?? (portal === "sent" ? SEEN : 0),
        own?.keywords ?? null,
        own?.internalAt ?? null,
      ),
    insertText(db, entry, share),
    ...(arrives ? [noteFollowUp(db, entry)] : []),
  ];
}

/** An account without its inbox would take the message and show it nowhere. */
function ensureInboxes(db: D1Database, entries: readonly IndexEntry[]): D1PreparedStatement[] {
  const list = JSON.stringify(entries.map(({ account, domain, at }) => [account, domain, Math.floor(at / 1000)]));
  return [
    db
      .prepare(
        `INSERT INTO account (id, domain) SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE true
         ON CONFLICT DO NOTHING`,
      )
      .bind(list),
    db
      .prepare(
        `INSERT INTO folder (account, name, role, uidvalidity)
         SELECT value ->> 0, 'INBOX', 'inbox', value ->> 2 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING`,
      )
      .bind(list),
  ];
}

function retire(db: D1Database, { account, mid, once, at }: IndexEntry): D1PreparedStatement {
  return db
    .prepare("UPDATE message SET once = once || '#' || id WHERE account = ?1 AND mid = ?2 AND once = ?3 AND at < ?4")
    .bind(account, mid, once, at - REPEAT_WINDOW);
}

/**
 * The conversation is that of the oldest message that it belongs with (thread.ts), else a new one; it never changes. What was stored
 * before the full text had its present form, and has none yet (renewal.ts), is found in the one before.
 */
function insertMessage(db: D1Database, entry: IndexEntry): D1PreparedStatement {
  const { account, mid, once, direction, at, size, key, extracted } = entry;
  return db
    .prepare(
      `INSERT INTO message (id, account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta,
         structure, number)
       VALUES (${nextNumber("?13")}, ?1, ?2, ?3,
         coalesce((SELECT m.thread FROM full_text JOIN message m ON m.id = full_text.rowid
                   WHERE full_text MATCH ?4 AND m.account = ?1 ORDER BY full_text.rowid LIMIT 1),
                  (SELECT m.thread FROM fts JOIN message m ON m.id = fts.rowid
                   WHERE fts MATCH ?4 AND m.account = ?1 ORDER BY fts.rowid LIMIT 1),
                  abs(random() % 9007199254740991)),
         ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?14, ${entry.own ? OWN : nextArchiveNumber("?1")})
       ON CONFLICT (account, mid, once) DO NOTHING`,
    )
    .bind(
      account,
      mid,
      once,
      threadMatch(threadTokens(account, extracted)),
      direction,
      at,
      size,
      key,
      extracted.sender,
      extracted.subject,
      extracted.preview,
      JSON.stringify(metaOf(entry)),
      firstNumberOf(at),
      extracted.structure,
    );
}

/** @param share characters of text that are indexed */
function insertText(db: D1Database, entry: IndexEntry, share: number): D1PreparedStatement {
  const { account, mid, once } = entry;
  const row = "(SELECT id FROM message WHERE account = ?1 AND mid = ?2 AND once = ?3)";
  return db
    .prepare(insertFullText(row, 4, "changes() > 0"))
    .bind(account, mid, once, ...columnValues(fullText(entry, share)));
}

/** Where the octets of each are, in the entries' order. */
function selectKeys(db: D1Database, entries: readonly IndexEntry[]): D1PreparedStatement {
  const list = JSON.stringify(entries.map(({ account, mid, once }) => [account, mid, once]));
  return db
    .prepare(
      `SELECT m.key FROM json_each(?1) e LEFT JOIN message m
         ON m.account = e.value ->> 0 AND m.mid = e.value ->> 1 AND m.once = e.value ->> 2
       ORDER BY e.key`,
    )
    .bind(list);
}

function metaOf({ extracted, receipt, envelope, recipients }: IndexEntry): MessageMeta {
  const { from, to, cc, replyTo, references, attachments, messageId, inReplyTo, aboutSubject, date } = extracted;
  return {
    receipt,
    envelope,
    from,
    to,
    cc,
    replyTo,
    references,
    attachments,
    ...(recipients === undefined ? {} : { recipients }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    ...(aboutSubject === undefined ? {} : { aboutSubject }),
    ...(date === undefined ? {} : { date }),
  };
}
