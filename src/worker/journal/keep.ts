/**
 * A journalled message in the archive: its octets in R2 for each direction, so that the index can be made anew from them, and a row for
 * each mailbox that it is of. Once: a server may report one message several times, with other recipients each time.
 */
import { createHash } from "node:crypto";
import { parseAddress } from "../../core/address.ts";
import { MAX_ENVELOPE_METADATA_BYTES, MAX_RECIPIENTS, STORE_TIMEOUT } from "../../core/limits.ts";
import { mailboxes } from "../../core/mime/addresses.ts";
import { lastHopTraceEnd, messageIdOf } from "../../core/mime/header.ts";
import { guessName, onceKey, sentName } from "../../core/once.ts";
import { extract } from "../archive/extract.ts";
import type { IndexEntry } from "../archive/index.ts";
import { indexOn } from "../archive/index-on.ts";
import type { Receipt } from "../archive/meta.ts";
import { newKey, openRawWriter, type RawMetadata, recipientOctets } from "../archive/raw.ts";
import type { Env } from "../env.ts";
import { discard } from "../receive/store-leg.ts";
import { within } from "../store/deadline.ts";
import type { Journalled } from "./read.ts";
import type { Share, Shares } from "./shares.ts";

export interface Kept {
  readonly env: Env;
  readonly message: Journalled;
  /** The domain's name, for whoever makes the index anew. */
  readonly domain: string;
  readonly receipt: Omit<Receipt, "id">;
}

/** @throws where it is not kept: the server sends it again, and what is there already is known then */
export async function keepShares(kept: Kept, shares: Shares): Promise<void> {
  if (shares.out.length > 0) await keepSent(kept, shares.out);
  for (const group of groupsOf(shares.in)) await keepHad(kept, group);
}

/**
 * The envelope is the same in each report of one message, as the sweep (archive/mend.ts) and a reindex make the rows anew by it: the
 * first recipient is the one that the message itself names.
 */
function keepSent(kept: Kept, shares: readonly Share[]): Promise<void> {
  const { header, recipients } = kept.message;
  const to = header.fields.filter(({ name }) => name === "to").flatMap(({ value }) => mailboxes(value, null));
  const first = to.find(({ address }) => parseAddress(address).ok)?.address ?? shares[0]?.address ?? "";
  const all = [first, ...recipients.filter((one) => one !== first)].slice(0, MAX_LISTED);
  return keep(kept, "out", shares, all, shares[0]?.address ?? "");
}

function keepHad(kept: Kept, shares: readonly Share[]): Promise<void> {
  return keep(
    kept,
    "in",
    shares,
    shares.map(({ address }) => address),
    kept.message.authors[0] ?? "",
  );
}

async function keep(
  { env, message, domain, receipt }: Kept,
  direction: "in" | "out",
  shares: readonly Share[],
  recipients: readonly string[],
  from: string,
): Promise<void> {
  const { key, id } = newKey(receipt.at);
  const envelope = { from, body: "8BITMIME", smtputf8: false } as const;
  const facts = { ...receipt, id };
  const metadata = { receipt: facts, direction, domain, ...envelope, recipients: fitting(recipients) };
  const digest = await store(env, key, message, metadata);
  const extracted = await within(extract(message.open(), message.size), STORE_TIMEOUT, "reading a message");
  const mid = messageIdOf(message.header) ?? id;
  const common = { direction, key, size: message.size, at: receipt.at, mid, extracted, receipt: facts };
  const entries: { shard: number; entry: IndexEntry }[] = [];
  for (const { account, shard, domain: number, address } of shares) {
    const to = direction === "out" ? (recipients[0] ?? "") : address;
    // Names that no arrival looks for, and that a reindex gives: a copy of a message must not keep the message itself from coming.
    const once = (direction === "out" ? sentName : guessName)(await onceKey({ from, to }, digest));
    const more = direction === "out" ? { recipients } : {};
    entries.push({
      shard,
      entry: { ...common, account, domain: number, once, envelope: { ...envelope, to }, ...more },
    });
  }
  const batches = [...Map.groupBy(entries, ({ shard }) => shard)].map(([shard, theirs]) =>
    indexOn(
      env,
      shard,
      theirs.map(({ entry }) => entry),
      false,
    ),
  );
  const indexed = (await Promise.all(batches)).flat();
  if (indexed.every((one) => one.key !== key)) await discard(env.MAIL, key);
}

/** Recipients in a row: a list of thousands helps nobody, and must not fill it. */
const MAX_LISTED = 300;

/** As many as fit beside the octets, and into one batch (design, rule 4). */
function groupsOf(shares: readonly Share[]): Share[][] {
  const groups: Share[][] = [];
  let octets = Number.POSITIVE_INFINITY;
  for (const share of shares) {
    octets += recipientOctets(share.address);
    const last = groups.at(-1);
    if (!last || last.length >= MAX_RECIPIENTS || octets > MAX_ENVELOPE_METADATA_BYTES) {
      groups.push([share]);
      octets = recipientOctets(share.address);
    } else last.push(share);
  }
  return groups;
}

function fitting(recipients: readonly string[]): string[] {
  let octets = 0;
  return recipients.filter((recipient) => {
    octets += recipientOctets(recipient);
    return octets <= MAX_ENVELOPE_METADATA_BYTES;
  });
}

/** @returns SHA-256 of the octets below the trace block of the last hop. @throws where the octets are not in R2 then */
async function store(
  env: Env,
  key: string,
  { size, header, open }: Journalled,
  metadata: RawMetadata,
): Promise<Uint8Array> {
  const writer = openRawWriter(env.MAIL, key, size, metadata);
  const hash = createHash("sha256");
  let skip = lastHopTraceEnd(header);
  try {
    for await (const piece of open()) {
      await within(writer.write(piece), STORE_TIMEOUT, "R2 put");
      hash.update(piece.subarray(Math.min(skip, piece.length)));
      skip -= Math.min(skip, piece.length);
    }
    await within(writer.finish(), STORE_TIMEOUT, "R2 put");
  } catch (error) {
    writer.abort();
    throw error;
  }
  return hash.digest();
}
