/** Messages for the index and the raw store, as the mail's way puts them there. */
import { env } from "cloudflare:test";
import { extract } from "../../../src/worker/archive/extract.ts";
import { type IndexEntry, indexMessage } from "../../../src/worker/archive/index.ts";
import { newKey, putRaw } from "../../../src/worker/archive/raw.ts";

export interface Facts {
  readonly account: number;
  readonly domain?: number;
  readonly db?: D1Database;
  readonly direction?: "in" | "out";
  /** Unix milliseconds. */
  readonly at?: number;
  /** Envelope. */
  readonly from?: string;
  readonly to?: string;
  /** In the inbox, and waiting for the origin. */
  readonly portal?: boolean;
}

export const NOON = Date.UTC(2026, 10, 24, 12);
let count = 0;

/** @param lines of the message, without line ends */
export async function store(facts: Facts, lines: readonly string[]): Promise<IndexEntry> {
  return storeOctets(facts, new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join("")));
}

export async function storeOctets(facts: Facts, octets: Uint8Array): Promise<IndexEntry> {
  const { account, domain = 1, db = env.SHARD_0, direction = "in", at = NOON, portal = false } = facts;
  const { from = "sender@example.net", to = "ann@example.org" } = facts;
  const { key, id } = newKey(at);
  const client = { ip: "192.0.2.1", helo: "mx.example.net", protocol: "ESMTPS" };
  const receipt = { id, at, host: "mx.holdfast.test", client };
  const body = "8BITMIME" as const;
  const metadata = { receipt, direction, domain: "example.org", from, recipients: [to], body, smtputf8: false };
  await putRaw(env.MAIL, key, octets, metadata);
  count += 1;
  const entry: IndexEntry = {
    account,
    domain,
    direction,
    key,
    size: octets.length,
    at,
    mid: `stored-${count}`,
    once: `once-${count}`,
    extracted: await extract(octets, octets.length),
    receipt,
    envelope: { from, to, body, smtputf8: false },
  };
  // A message of the archive belongs to an account: that comes first, as when a mailbox is made.
  await db.prepare("INSERT INTO account (id, domain) VALUES (?, ?) ON CONFLICT DO NOTHING").bind(account, domain).run();
  await indexMessage(db, [entry], { portal: portal ? "waiting" : false });
  return entry;
}
