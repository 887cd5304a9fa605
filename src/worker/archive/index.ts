/**
 * A message's rows: in the archive and, where it goes there, in a portal inbox. One batch a shard, all or nothing.
 * Rows written: archive 5, portal 10, a repeat 0 (test/worker/store/costs.test.ts).
 */
import type { Envelope } from "../../core/envelope.ts";
import { REPEAT_WINDOW } from "../../core/limits.ts";
import { waitingSince } from "../store/backlog.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import type { Extracted, MessageMeta, Receipt } from "./meta.ts";
import { scopeTokens } from "./scope.ts";

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
}

export interface Indexed {
  /** False: the index had it already, within REPEAT_WINDOW. */
  readonly isNew: boolean;
  /** Where its octets are: those of the first time, for a repeat. */
  readonly key: string;
}

const STATEMENTS_OF_ARCHIVE = 4;
const STATEMENTS_OF_PORTAL = 8;

/**
 * Indexes one message for each entry's account; idempotent, since an entry is told by (account, mid, once).
 * @param portal also into the inbox; `waiting`: as part of the backlog, else as what a person had delivered again
 */
export async function indexMessage(
  db: D1Database,
  entries: readonly IndexEntry[],
  { portal }: { readonly portal: false | "waiting" | "again" },
): Promise<Indexed[]> {
  if (entries.length === 0) return [];
  const statements = entries.flatMap((entry) =>
    portal ? portalStatements(db, entry, portal === "waiting") : archiveStatements(db, entry),
  );
  const results = await db.batch<{ key: string }>(statements);
  const each = portal ? STATEMENTS_OF_PORTAL : STATEMENTS_OF_ARCHIVE;
  return entries.map((_entry, index) => {
    const insert = results[index * each + (portal ? 3 : 1)];
    const select = results[index * each + each - 1];
    const key = select?.results[0]?.key;
    if (!insert || key === undefined) throw new Error("the index did not keep the message");
    return { isNew: insert.meta.changes > 0, key };
  });
}

/** The older message of the same kind gives its place up; the row; its full text; where its octets are. */
function archiveStatements(db: D1Database, entry: IndexEntry): D1PreparedStatement[] {
  return [retire(db, entry), insertMessage(db, entry), insertText(db, entry), selectKey(db, entry)];
}

/** The same with a place in the inbox. Each step hangs on the one before (`changes()`), so that a repeat writes nothing. */
function portalStatements(db: D1Database, entry: IndexEntry, waiting: boolean): D1PreparedStatement[] {
  const { account, domain, at } = entry;
  return [
    // An account without its inbox would take the message and show it nowhere.
    db.prepare("INSERT INTO account (id, domain) VALUES (?1, ?2) ON CONFLICT DO NOTHING").bind(account, domain),
    db
      .prepare(
        "INSERT INTO folder (account, name, role, uidvalidity) VALUES (?1, 'INBOX', 'inbox', ?2) ON CONFLICT DO NOTHING",
      )
      .bind(account, Math.floor(at / 1000)),
    retire(db, entry),
    insertMessage(db, entry),
    db.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1 AND changes() > 0").bind(account),
    db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created, waiting)
         SELECT (SELECT id FROM folder WHERE account = ?1 AND role = 'inbox') * ${FOLDER_STRIDE} + seq, id,
                last_insert_rowid(), seq, seq, ?2
         FROM account WHERE id = ?1 AND changes() > 0`,
      )
      .bind(account, waiting ? waitingSince(domain, at) : null),
    insertText(db, entry),
    selectKey(db, entry),
  ];
}

function retire(db: D1Database, { account, mid, once, at }: IndexEntry): D1PreparedStatement {
  return db
    .prepare("UPDATE message SET once = once || '#' || id WHERE account = ?1 AND mid = ?2 AND once = ?3 AND at < ?4")
    .bind(account, mid, once, at - REPEAT_WINDOW);
}

/** The conversation is that of a message it refers to, else a new one. */
function insertMessage(db: D1Database, entry: IndexEntry): D1PreparedStatement {
  const { account, mid, once, direction, at, size, key, extracted } = entry;
  const { references, inReplyTo } = extracted;
  const parents = [...references, ...(inReplyTo === undefined ? [] : [inReplyTo])];
  return db
    .prepare(
      `INSERT INTO message (account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta)
       VALUES (?1, ?2, ?3,
         coalesce((SELECT thread FROM message WHERE account = ?1 AND mid IN (SELECT value FROM json_each(?4)) LIMIT 1),
                  abs(random() % 9007199254740991)),
         ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
       ON CONFLICT (account, mid, once) DO NOTHING`,
    )
    .bind(
      account,
      mid,
      once,
      JSON.stringify(parents),
      direction,
      at,
      size,
      key,
      extracted.sender,
      extracted.subject,
      extracted.preview,
      JSON.stringify(metaOf(entry)),
    );
}

function insertText(db: D1Database, entry: IndexEntry): D1PreparedStatement {
  const { account, mid, once, domain, direction, extracted, envelope } = entry;
  const people = [...extracted.from, ...extracted.to, ...extracted.cc].flatMap(({ name, address }) => [name, address]);
  // The envelope's recipient need not be in the header: a blind copy, a list.
  const head = [extracted.subject, ...people, envelope.to, ...extracted.attachments.map(({ name }) => name)].join("\n");
  return db
    .prepare(
      `INSERT INTO fts (rowid, scope, head, body)
       SELECT (SELECT id FROM message WHERE account = ?1 AND mid = ?2 AND once = ?3), ?4, ?5, ?6 WHERE changes() > 0`,
    )
    .bind(account, mid, once, scopeTokens({ account, domain, direction }).join(" "), head, extracted.text);
}

function selectKey(db: D1Database, { account, mid, once }: IndexEntry): D1PreparedStatement {
  return db.prepare("SELECT key FROM message WHERE account = ?1 AND mid = ?2 AND once = ?3").bind(account, mid, once);
}

function metaOf({ extracted, receipt, envelope }: IndexEntry): MessageMeta {
  const { from, to, cc, replyTo, references, attachments, messageId, inReplyTo, date } = extracted;
  return {
    receipt,
    envelope,
    from,
    to,
    cc,
    replyTo,
    references,
    attachments,
    ...(messageId === undefined ? {} : { messageId }),
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    ...(date === undefined ? {} : { date }),
  };
}
