/**
 * A customer's own server that has us as its smart host: what it sends is passed on octet for octet, for the domains that it may
 * name. Its reports of failure (`<>`) and what it forwards come with senders that are nobody's here; they are passed on too, under a
 * rate of their own.
 */
import { parseAddress } from "../../core/address.ts";
import type { Client } from "../../core/envelope.ts";
import type { Reply } from "../../core/outcome.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { MAX_ARCHIVED_AUTHORS } from "../../core/send/limits.ts";
import { planFor } from "../decide/plan.ts";
import type { Env } from "../env.ts";
import type { MailFrom, MessageSource } from "../receive/contract.ts";
import { badSender, noPlan } from "../receive/replies.ts";
import type { Writer } from "../send/contract.ts";
import { submit } from "../send/submit.ts";
import { directory } from "../store/directory.ts";
import { isDomain } from "../store/domains.ts";
import type { KnownRelay } from "../store/relays.ts";
import { authorsOf, withHeader } from "./header.ts";
import * as replies from "./replies.ts";

type Relays = readonly [KnownRelay, ...KnownRelay[]];
type Background = Pick<ExecutionContext, "waitUntil">;

/** Whose message it is, as far as the envelope says. */
export interface ServerMail {
  readonly relays: Relays;
  /** The domain that it is sent for; null: the envelope's sender is nobody's here. */
  readonly domain: string | null;
}

/** At MAIL. @throws where the directory does not answer */
export async function serverMail(env: Env, relays: Relays, from: string): Promise<Result<ServerMail, Reply>> {
  if (from === "") return ok({ relays, domain: null });
  const parsed = parseAddress(from);
  if (!parsed.ok) return err(badSender(`<${from}>`));
  const { domain } = parsed.value;
  const theirs = speaking(relays, domain);
  if (theirs) return ok({ relays: theirs, domain });
  // DMARC takes our address for every customer's: none may use another's name.
  return (await isDomain(directory(env), domain))
    ? err(replies.anotherCustomers(domain))
    : ok({ relays, domain: null });
}

function speaking(relays: Relays, domain: string): Relays | null {
  const [first, ...others] = relays.filter(({ senders }) => senders.includes(domain));
  return first ? [first, ...others] : null;
}

/** @throws where the octets break off: then nothing was accepted */
export async function relayMessage(
  env: Env,
  ctx: Background,
  { relays, domain }: ServerMail,
  { client, mail, recipients }: { client: Client; mail: MailFrom; recipients: readonly string[] },
  source: MessageSource,
  now: number,
): Promise<Reply> {
  const { header, source: whole } = await withHeader(source);
  const authors = domainsOf(authorsOf(header).slice(0, MAX_ARCHIVED_AUTHORS));
  // An envelope that is nobody's here: the header says which of several servers that share an address it is.
  const named = authors.find(({ domain: author }) => speaking(relays, author))?.domain;
  const theirs = named === undefined ? relays : (speaking(relays, named) ?? relays);
  const [relay, ...others] = theirs;
  if (domain === null && others.some((one) => one.domain !== relay.domain)) return replies.whose;
  const archive = await holdersOf(env, ctx, authors, relay.senders);
  if (archive === null) return noPlan;
  const submitted = await submit(
    env,
    ctx,
    {
      domain: domain ?? (named !== undefined && relay.senders.includes(named) ? named : relay.domainName),
      writer: { kind: "relay", name: `relay ${relay.id}`, archive, others: domain === null },
      from: mail.from,
      recipients,
      body: mail.body,
      smtputf8: mail.smtputf8,
      client,
      octets: whole.chunks,
      size: whole.size,
      request: null,
    },
    now,
  );
  return submitted.ok ? replies.taken(submitted.value) : replies.refused(submitted.error, true);
}

interface Author {
  /** In normal form. */
  readonly address: string;
  readonly domain: string;
}

const domainsOf = (addresses: readonly string[]): Author[] =>
  addresses.flatMap((address) => {
    const parsed = parseAddress(address);
    return parsed.ok ? [{ address: parsed.value.address, domain: parsed.value.domain }] : [];
  });

type Archive = Extract<Writer, { kind: "relay" }>["archive"];

/** The covered mailboxes of the header's From: whose outgoing mail it is. @returns null where nobody can say now */
async function holdersOf(
  env: Env,
  ctx: Background,
  authors: readonly Author[],
  senders: readonly string[],
): Promise<Archive | null> {
  const holders = new Map<number, Archive[number]>();
  for (const { address, domain } of authors) {
    // What is forwarded was written by others, who may be somebody else's customers.
    if (!senders.includes(domain)) continue;
    const plan = await planFor(env, ctx, address);
    if (plan === "unavailable") return null;
    if (plan === "unknown_domain" || plan.recipient.status !== "covered") continue;
    for (const { account, shard } of plan.recipient.holders) holders.set(account, { account, shard });
  }
  return [...holders.values()];
}
