/** A few messages: their octets are read, a few at a time, and their copies go into the index together. */
import { STORE_TIMEOUT } from "../../../core/limits.ts";
import { onceKey } from "../../../core/once.ts";
import type { Env } from "../../env.ts";
import { admit } from "../../receive/memory.ts";
import { within } from "../../store/deadline.ts";
import { shardDb } from "../../store/shard.ts";
import { headRaw } from "../raw.ts";
import type { Copy, ReindexCounts, ReindexProblem } from "./contract.ts";
import type { Expected } from "./copies.ts";
import { tellOfCopies } from "./present.ts";
import { type ReadMessage, readMessage } from "./read.ts";
import { type ReadCopy, type Written, writeCopies } from "./write.ts";

export interface Account {
  readonly counts: ReindexCounts;
  /** False: only counted. */
  readonly write: boolean;
  readonly problem: (problem: ReindexProblem) => void;
}

/** Of the six connections that an invocation has. */
const READS_AT_ONCE = 4;

/** The isolate's memory is taken up by mail: it goes first. */
export class BusyError extends Error {
  override readonly name = "BusyError";
}

/** @throws where a store does not answer; what was written stays */
export async function indexGroup(env: Env, group: readonly Expected[], account: Account): Promise<void> {
  if (!account.write) return count(group, account);
  const read: ReadCopy[] = [];
  const left = [...group];
  const some = async () => {
    for (let next = left.shift(); next; next = left.shift()) read.push(...(await readCopies(env, next, account)));
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, some));
  // In the order of arrival again: conversations are found by what came before.
  read.sort((a, b) => a.entry.at - b.entry.at || (a.copy.key < b.copy.key ? -1 : 1));
  for (const [shard, theirs] of Map.groupBy(read, ({ copy }) => copy.shard)) {
    const failed = ({ key, to }: Copy, error: unknown) => {
      console.error("a message could not be indexed", key, String(error));
      const detail = `The index did not take the copy for ${to}; its octets are kept. Run again; see the Worker's log.`;
      account.problem({ kind: "not_indexed", key, detail });
    };
    const written = await writeCopies(env, shardDb(env, shard), theirs, failed);
    for (const one of theirs) tally(one, written.get(one), account);
    const changed = theirs.filter((one) => isChange(one, written.get(one)));
    tellOfCopies(
      env,
      changed.map(({ copy }) => copy),
    );
  }
}

/** A folder has something new, or not any more. */
function isChange({ verdict }: ReadCopy, written: Written | undefined): boolean {
  return written === "amended" || (written === "indexed" && verdict.place !== "archive");
}

function tally({ copy, verdict }: ReadCopy, written: Written | undefined, { counts, problem }: Account): void {
  if (written === "present") counts.present++;
  if (written === "repeat" || written === "amended") counts.repeats++;
  if (written !== "indexed") return;
  counts.indexed++;
  if (verdict.place === "waiting") counts.waiting++;
  if (verdict.place === "refused") counts.refused++;
  if (copy.nobody) tellOfNobody(copy, counts, problem);
}

/** Of a dry run: no octets are read, so a repeat counts as a message. */
function count(group: readonly Expected[], { counts, problem }: Account): void {
  for (const copy of group.flatMap(({ copies }) => copies)) {
    const { place } = copy.verdict(true);
    if (place === "nowhere") counts.skipped++;
    else counts.indexed++;
    if (place === "waiting") counts.waiting++;
    if (place === "refused") counts.refused++;
    if (copy.nobody) tellOfNobody(copy, counts, problem);
  }
}

function tellOfNobody({ key, to }: Copy, counts: ReindexCounts, problem: Account["problem"]): void {
  counts.nobody++;
  const detail = `${to} is nobody's address now: its mail belongs to the domain's own account.`;
  problem({ kind: "nobody", key, detail });
}

async function readCopies(env: Env, { object, copies }: Expected, account: Account): Promise<ReadCopy[]> {
  const giveBack = admit(object.size);
  if (!giveBack) throw new BusyError("too much mail is under way");
  try {
    const message = await readMessage(env.MAIL, object.key).catch(async (error: unknown) => {
      // One object that cannot be read must not end the run; a store that does not answer must.
      await within(headRaw(env.MAIL, object.key), STORE_TIMEOUT, "R2 head");
      console.error("a message could not be read for the index", object.key, String(error));
      const detail = "Its octets are stored and could not be read. Run again; see the Worker's log.";
      account.problem({ kind: "unreadable", key: object.key, detail });
      return "unreadable" as const;
    });
    if (message === "unreadable") return [];
    // Discarded meanwhile: its message was never accepted.
    if (!message) account.counts.skipped += copies.length;
    return message ? await placed(copies, message, account.counts) : [];
  } finally {
    giveBack();
  }
}

async function placed(copies: readonly Copy[], message: ReadMessage, counts: ReindexCounts): Promise<ReadCopy[]> {
  const found: ReadCopy[] = [];
  for (const copy of copies) {
    const verdict = copy.verdict(message.messageId !== null);
    if (verdict.place === "nowhere") counts.skipped++;
    else found.push({ copy, verdict, entry: await entryOf(copy, message, verdict.place === "refused") });
  }
  return found;
}

/** As at arrival (receive/conclude.ts), so that the row is the same. */
async function entryOf(copy: Copy, message: ReadMessage, refused: boolean) {
  const { account, domain, key, metadata, receipt, to } = copy;
  const { direction, from, body, smtputf8, recipients } = metadata;
  const envelope = { from, to: direction === "out" ? (recipients[0] ?? "") : to, body, smtputf8 };
  return {
    account,
    domain,
    direction,
    key,
    size: message.size,
    at: receipt.at,
    mid: message.messageId ?? receipt.id,
    once: await onceKey(envelope, message.digest),
    extracted: message.extracted,
    receipt,
    envelope,
    ...(direction === "out" ? { recipients } : {}),
    ...(refused ? { refusal: copy.reply ?? "null" } : {}),
  };
}
