/** Which copies an object stands for, and where each belongs: its envelope, the mailboxes as registered now, the object's memory. */
import { lookupLocals, parseAddress } from "../../../core/address.ts";
import { PLAN_TIMEOUT } from "../../../core/limits.ts";
import { verdictOf } from "../../../core/verdict.ts";
import { resolveRecipient } from "../../decide/recipient.ts";
import type { DomainRpc, Holder } from "../../domain/contract.ts";
import { type DirectoryEntry, entryFor } from "../../domain/directory.ts";
import type { Env } from "../../env.ts";
import { copyKey, type Fate } from "../../failback/fates.ts";
import { flightKey } from "../../failback/ports.ts";
import { within } from "../../store/deadline.ts";
import { KEPT, metadataOf, type RawMetadata, waitsFor } from "../raw.ts";
import type { Copy, ReindexProblem } from "./contract.ts";

export interface Expected {
  readonly object: R2Object;
  readonly copies: readonly Copy[];
}

/** Flights that the object is asked for at once. */
const FLIGHTS_AT_ONCE = 1_000;
/** Of what is not asked for by its envelope recipient. */
const SHARD_OF_PANEL = 0;

interface Known {
  readonly object: R2Object;
  readonly metadata: RawMetadata;
}

/** @throws where the directory or a domain's object does not answer: without them nobody knows what is whose */
export async function expectedOf(
  env: Env,
  objects: readonly R2Object[],
  problem: (problem: ReindexProblem) => void,
): Promise<Expected[]> {
  const known: Known[] = [];
  for (const object of objects) {
    try {
      const metadata = metadataOf(object);
      if (metadata.archived !== false) known.push({ object, metadata });
    } catch (error) {
      problem({ kind: "no_envelope", key: object.key, detail: `It cannot be told whose it is: ${String(error)}.` });
    }
  }
  const expected: Expected[] = [];
  for (const [name, theirs] of Map.groupBy(known, ({ metadata }) => metadata.domain)) {
    const addresses = theirs.flatMap(({ metadata }) => addressesOf(metadata));
    const locals = addresses.flatMap((to) => localsOf(to));
    const entry = await entryFor(env, name, [...new Set(locals)]);
    if (!entry) {
      const detail = `No domain ${JSON.stringify(name)} is registered: register it and run again.`;
      for (const { object } of theirs) problem({ kind: "unknown_domain", key: object.key, detail });
      continue;
    }
    const fates = await fatesOf(env, name, theirs);
    for (const one of theirs) expected.push({ object: one.object, copies: copiesOf(one, entry, fates) });
  }
  return expected;
}

/** Whose it is: its recipients', or of what they sent themselves, its sender's. */
const addressesOf = ({ direction, from, recipients }: RawMetadata): readonly string[] =>
  direction === "out" ? [from] : recipients;

function localsOf(to: string): string[] {
  const address = parseAddress(to);
  return address.ok ? lookupLocals(address.value.local) : [];
}

async function fatesOf(env: Env, domain: string, known: readonly Known[]): Promise<Record<string, Fate>> {
  const flights = known.flatMap(({ object, metadata }) => metadata.recipients.map((to) => flightKey(object.key, to)));
  const rpc = env.DOMAIN.getByName(domain) as unknown as DomainRpc;
  let fates: Record<string, Fate> = {};
  for (let at = 0; at < flights.length; at += FLIGHTS_AT_ONCE) {
    const some = rpc.fates(flights.slice(at, at + FLIGHTS_AT_ONCE));
    fates = { ...fates, ...(await within(some, PLAN_TIMEOUT, `the object of ${domain}`)) };
  }
  return fates;
}

function copiesOf({ object, metadata }: Known, entry: DirectoryEntry, fates: Readonly<Record<string, Fate>>): Copy[] {
  const { receipt } = metadata;
  const { facts } = entry;
  return addressesOf(metadata).flatMap((to, recipient) => {
    const holders = holdersOf(to, entry);
    const nobody = holders.length === 0;
    const whose = nobody ? [{ account: -facts.id, shard: SHARD_OF_PANEL }] : holders;
    return whose.map(({ account, shard }) => {
      const flight = flightKey(object.key, to);
      const fate = fates[copyKey(flight, account)] ?? fates[flight] ?? null;
      const copy = { key: object.key, metadata, receipt, to, account, shard, nobody, domain: facts.id };
      if (metadata.direction === "out") return { ...copy, fate: null, reply: null, verdict: () => OUTGOING };
      const copied = copiedAs(object.key, metadata, recipient, account);
      const said = { goesTo: metadata.goesTo ?? null, copied, fate: fate?.state ?? null };
      const verdict = (messageId: boolean) => verdictOf({ ...said, messageId });
      return { ...copy, fate: said.fate, reply: fate?.reply ?? null, verdict };
    });
  });
}

const OUTGOING = { place: "archive", by: "known" } as const;

function copiedAs(
  key: string,
  { waiting }: RawMetadata,
  recipient: number,
  account: number,
): Parameters<typeof verdictOf>[0]["copied"] {
  if (!key.startsWith(KEPT)) return null;
  if (waiting === undefined) return "unknown";
  return waiting.includes(waitsFor(recipient, account)) ? "waiting" : "placed";
}

/**
 * The mailboxes that have it now; who was covered when it came is not known any more. As in emergency mode: postmaster's
 * mail belongs to the panel where nobody else has it.
 */
function holdersOf(to: string, { facts, holders }: DirectoryEntry): readonly Pick<Holder, "account" | "shard">[] {
  const address = parseAddress(to);
  if (!address.ok) return [];
  return resolveRecipient(facts, "emergency", address.value.local, (form) => holders.get(form) ?? []).holders;
}
