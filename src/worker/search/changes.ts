/**
 * Which results of a search left and came since a state (RFC 8620 §5.6). A place that changed since may have left or come, or stands
 * elsewhere now, for whatever reason: a flag, a folder, what the order goes by. So each that changed is told as gone, and as come
 * where it is among the results; all others stand as they stood.
 */
import { INDEX_TIMEOUT, MAX_CHANGES } from "../../core/limits.ts";
import type { Query } from "../../core/query/query.ts";
import type { SortKey } from "../../core/query/sort.ts";
import type { AccountState } from "../store/changes.ts";
import { within } from "../store/deadline.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { everyOf, everyStatement, type Hit, type Row } from "./every.ts";
import { isPlaced, type Target } from "./statement.ts";

export interface QueryChanges {
  /** For the next time. */
  readonly state: number;
  readonly total: number;
  /** Numbers of what may have been among the results: messages, in a folder places. */
  readonly removed: readonly number[];
  /** Where each stands now, lowest index first: to be put in one after the other, once the removed ones are out. */
  readonly added: readonly { readonly index: number; readonly hit: Hit }[];
}

/** What is true of a message changes with its own places alone: not with another message of its conversation, or a folder's name. */
function isItsOwn(query: Query): boolean {
  switch (query.kind) {
    case "and":
    case "or":
      return query.of.every(isItsOwn);
    case "not":
      return isItsOwn(query.of);
    case "conversation":
      return false;
    case "folder":
      return !("called" in query);
    default:
      return true;
  }
}

interface Changed {
  readonly id: number;
  readonly message: number;
  readonly created: number;
}

/**
 * @param query in its simplest form, as it was asked before; so are the keys
 * @param since the state that came with the results before
 * @returns null where it cannot be told: then all results are asked for anew (cannotCalculateChanges)
 */
export async function queryChanges(
  db: D1Database,
  target: Extract<Target, { kind: "mailbox" | "account" | "folder" }>,
  query: Query,
  keys: readonly SortKey[],
  since: number,
): Promise<QueryChanges | null> {
  // The account's counter tells only of what comes into folders and leaves them.
  if (!isItsOwn(query) || (target.kind !== "folder" && !isPlaced(query))) return null;
  const { account } = target;
  const [states, changed, rows] = await within(
    db.batch<Record<string, unknown>>([
      db.prepare("SELECT seq, purged FROM account WHERE id = ?1").bind(account),
      db
        .prepare(
          `SELECT id, message, created FROM placement INDEXED BY placement_account
           WHERE account = ?1 AND modseq > ?2 LIMIT ${MAX_CHANGES + 1}`,
        )
        .bind(account, since),
      await everyStatement(db, target, query, keys),
    ]),
    INDEX_TIMEOUT,
    "D1 read of a search's changes",
  );
  const state = states?.results[0] as AccountState | undefined;
  const changes = (changed?.results ?? []) as unknown as Changed[];
  if (!state || since > state.seq || since < state.purged || changes.length > MAX_CHANGES) return null;
  const { hits, complete } = everyOf((rows?.results ?? []) as unknown as Row[], keys);
  if (!complete) return null;
  const theirs =
    target.kind === "folder" ? changes.filter(({ id }) => Math.floor(id / FOLDER_STRIDE) === target.folder) : changes;
  const numberOf = ({ id, message }: Changed) => (target.kind === "folder" ? id : message);
  const touched = new Set(theirs.map(numberOf));
  // What came after that state was not among the results then; a message may have lain in another folder.
  const before = target.kind === "folder" ? theirs.filter(({ created }) => created <= since) : theirs;
  return {
    state: state.seq,
    total: hits.length,
    removed: [...new Set(before.map(numberOf))],
    added: hits.flatMap((hit, index) => (touched.has(hit.id) ? [{ index, hit }] : [])),
  };
}
