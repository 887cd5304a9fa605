/** Whether a copy is the original, told by sums that each shard makes of its own rows: numbers of rows differ, nothing else may. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { accountToken, ownToken } from "../archive/scope.ts";
import { within } from "../store/deadline.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { PERSON_COLUMNS } from "./contract.ts";

/** Primes, so that sums stay whole numbers and mistakes do not cancel out. */
const BIG = 1_000_000_007;
const SMALL = 10_007;

/** Of SQLite's text there is no digest: its length and its first letters. */
const text = (column: string): string =>
  `sum(length(${column}) * 31 + coalesce(unicode(${column}), 0) + coalesce(unicode(substr(${column}, -1)), 0) * 7)`;

const MESSAGES = `SELECT count(*) AS messages, sum(size) AS size, sum(at % ${BIG}) AS at, sum(thread % ${BIG}) AS thread,
    sum(number) AS numbers, sum((number % ${SMALL}) * (at % ${SMALL})) AS numbered,
    sum((at % ${SMALL}) * (thread % ${SMALL})) AS pairs, sum(direction = 'in') AS incoming, ${text("mid")} AS mid,
    ${text("once")} AS once, ${text("key")} AS key, ${text("subject")} AS subject, ${text("meta")} AS meta,
    ${text("structure")} AS structure, count(structure) AS structures
  FROM message WHERE account = ?1`;

const FOLDERS = `SELECT f.name, f.role, f.uidvalidity, f.subscribed, f.modseq, f.created AS made, f.gone,
    f.uidnext, f.request, f.messages AS counted, f.unseen, f.unread, f.deleted, f.size, q.name AS parent, count(p.id) AS placements,
    sum(p.id % ${FOLDER_STRIDE}) AS uids, sum(p.modseq) AS modseqs, sum(p.created) AS created, sum(p.flags) AS flags,
    sum((p.id % ${FOLDER_STRIDE} % ${SMALL}) * (p.flags + 1)) AS flagged, sum(coalesce(p.gone, 0)) AS left,
    sum((p.id % ${FOLDER_STRIDE} % ${SMALL}) * (coalesce(p.waiting, 0) % ${SMALL})) AS waiting, count(p.waiting) AS backlog,
    ${text("p.keywords")} AS keywords, ${text("p.refusal")} AS refusals, sum(coalesce(p.internal_at, 0) % ${BIG}) AS dates,
    count(p.went) AS moved, sum(p.went % ${FOLDER_STRIDE} % ${SMALL}) AS went, ${text("p.request")} AS requests,
    sum((p.id % ${FOLDER_STRIDE} % ${SMALL}) * ((m.at + m.size) % ${SMALL})) AS messages
  FROM folder f LEFT JOIN folder q ON q.id = f.parent
    LEFT JOIN placement p ON p.account = f.account AND p.id BETWEEN f.id * ${FOLDER_STRIDE} AND (f.id + 1) * ${FOLDER_STRIDE} - 1
    LEFT JOIN message m ON m.id = p.message
  WHERE f.account = ?1 GROUP BY f.id`;

/** What its owner has set is brought whole: the same rows, and the same number of letters. Whom they have told may expire meanwhile. */
const PERSON = `SELECT ${(["identity", "on_arrival"] as const)
  .map((table) => {
    const letters = PERSON_COLUMNS[table].map((column) => `length(coalesce(${column}, ''))`).join(" + ");
    return `(SELECT count(*) || ' of ' || coalesce(sum(${letters}), 0) FROM ${table} WHERE account = ?1) AS ${table}`;
  })
  .join(", ")}`;

/** @returns the first thing that differs, in words for the operator; null where the copy is the original */
export async function difference(source: D1Database, target: D1Database, account: number): Promise<string | null> {
  const [there, here] = await Promise.all([sumsOf(source, account), sumsOf(target, account)]);
  if (there.messages !== here.messages) return `messages: ${there.messages} became ${here.messages}`;
  if (there.person !== here.person) return `settings: ${there.person} became ${here.person}`;
  const odd = there.folders.findIndex((folder, index) => folder !== here.folders[index]);
  if (odd >= 0) return `folders: ${there.folders[odd]} became ${here.folders[odd] ?? "nothing"}`;
  if (there.folders.length !== here.folders.length) return "folders: the copy has more of them";
  const words = await textRows(target, account);
  return words === there.count ? null : `full text: of ${there.count} messages ${words} are found`;
}

async function sumsOf(db: D1Database, account: number) {
  const [messages, folders, person] = await within(
    db.batch<Record<string, unknown>>([MESSAGES, FOLDERS, PERSON].map((sql) => db.prepare(sql).bind(account))),
    INDEX_TIMEOUT,
    "D1 sums of a mailbox",
  );
  const row = messages?.results[0] ?? {};
  return {
    count: Number(row.messages ?? 0),
    messages: JSON.stringify(row),
    person: JSON.stringify(person?.results[0] ?? {}),
    folders: (folders?.results ?? []).map((folder) => JSON.stringify(folder)).sort(),
  };
}

async function textRows(db: D1Database, account: number): Promise<number> {
  const count = db
    .prepare("SELECT count(*) AS n FROM full_text WHERE full_text MATCH ?1")
    .bind(`scope : ("${accountToken(account)}" OR "${ownToken(account)}")`)
    .first<number>("n");
  return (await within(count, INDEX_TIMEOUT, "D1 count of full text")) ?? 0;
}
