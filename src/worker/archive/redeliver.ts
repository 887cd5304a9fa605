/** A message of the archive, delivered again to the server that is active now, because a person asks for it. */
import { ulid } from "ulidx";
import { parseAddress } from "../../core/address.ts";
import { FINAL_TIMEOUT_REDELIVERY, INDEX_TIMEOUT } from "../../core/limits.ts";
import { traceHeaders } from "../../core/mime/trace.ts";
import { describeOutcome, formatReply, type Outcome } from "../../core/outcome.ts";
import { planFor } from "../decide/plan.ts";
import { openRoute } from "../deliver/origin.ts";
import { isOpen, isWriter } from "../deliver/session.ts";
import type { Plan } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { openSecret } from "../identity/secret.ts";
import { telling } from "../push/tell.ts";
import { within } from "../store/deadline.ts";
import { findCopy, findMessage, type MessageRow } from "../store/messages.ts";
import { placeInInbox } from "../store/placement-changes.ts";
import { shardDb } from "../store/shard.ts";
import type { Written } from "../store/states.ts";
import { extract } from "./extract.ts";
import { placeMessage } from "./index.ts";
import { octetsOf } from "./octets.ts";

export interface RedeliveryResult {
  readonly kind: "delivered" | "refused" | "unavailable" | "portal";
  /** In words, for the person who asked. */
  readonly detail: string;
  /** A bare CR or LF of it became CRLF on the way to the origin. */
  readonly lineEndsChanged?: boolean;
}

const failed = (detail: string): RedeliveryResult => ({ kind: "unavailable", detail });

/**
 * An incoming message goes to the mailbox asked for, an outgoing one to its covered sender, never to its recipients. It is
 * no part of the backlog, and never taken for a repeat.
 * @param to absent: the recipient of the envelope, as it came
 * @throws MissingOctetsError where R2 has not what the index has; DeadlineError where a store does not answer
 */
export async function redeliver(
  env: Env,
  ctx: { waitUntil(promise: Promise<unknown>): void },
  message: { readonly shard: number; readonly id: number },
  to: string | undefined,
): Promise<RedeliveryResult> {
  const row = await findMessage(shardDb(env, message.shard), message.id);
  if (!row) return failed("The message is not in the archive any more.");
  const { envelope } = row.meta;
  const recipient = row.direction === "out" ? envelope.from : (to ?? envelope.to);
  const address = parseAddress(recipient);
  const plan = address.ok ? await planFor(env, ctx, address.value.address) : "unknown_domain";
  if (plan === "unknown_domain") return failed(`There is no domain for ${recipient}.`);
  if (plan === "unavailable") return failed("The domain's settings cannot be read now; try again.");
  return plan.domain.continuity && plan.mode === "emergency"
    ? toPortal(env, plan, { ...row, shard: message.shard }, recipient)
    : toOrigin(env, plan, row, recipient);
}

async function toPortal(
  env: Env,
  plan: Plan,
  row: MessageRow & { readonly shard: number },
  recipient: string,
): Promise<RedeliveryResult> {
  const { holders, status } = plan.recipient;
  if (status !== "covered" || holders.length === 0)
    return { kind: "refused", detail: `${recipient} is no mailbox with continuity.` };
  for (const { account, shard } of holders) {
    const db = shardDb(env, shard);
    const same = account === row.account && shard === row.shard;
    const own = same ? row.id : await findCopy(db, account, midOf(row), row.key);
    await telling(env, plan.domain.name, [account], () =>
      own === null
        ? copyToAccount(env, db, row, { account, domain: plan.domain.id, to: recipient })
        : placeInInbox(db, account, own),
    );
  }
  return {
    kind: "portal",
    detail: `It is in the portal inbox of ${holders.map(({ mailbox }) => mailbox).join(", ")}.`,
  };
}

/** As the mail's way has it: without a Message-ID, the receipt stands in. */
const midOf = ({ meta }: MessageRow): string => meta.messageId ?? meta.receipt.id;

/** Another mailbox than it came for: a row of its own there, with the same octets. */
async function copyToAccount(
  env: Env,
  db: D1Database,
  row: MessageRow,
  { account, domain, to }: { readonly account: number; readonly domain: number; readonly to: string },
): Promise<Written<unknown>> {
  const { key, size, at, direction, meta } = row;
  const extracted = await extract(octetsOf(env.MAIL, key), size);
  const { receipt, envelope } = meta;
  const facts = { account, domain, direction, key, size, at, mid: midOf(row), once: `again ${ulid()}` };
  const entry = { ...facts, extracted, receipt, envelope: { ...envelope, to } };
  return within(placeMessage(db, [entry], "again"), INDEX_TIMEOUT, "D1 batch of a redelivery");
}

async function toOrigin(env: Env, plan: Plan, row: MessageRow, recipient: string): Promise<RedeliveryResult> {
  const { outcome, lineEndsChanged: changed } = await send(env, plan, row, recipient);
  const lineEnds = changed ? { lineEndsChanged: true } : {};
  switch (outcome.kind) {
    case "delivered":
      return { kind: "delivered", detail: `Your own server took it: ${formatReply(outcome.reply)}`, ...lineEnds };
    case "refused":
      return { kind: "refused", detail: `Your own server refused it: ${formatReply(outcome.reply)}`, ...lineEnds };
    case "unavailable":
      console.warn("a redelivery did not reach the origin", describeOutcome(outcome));
      return failed("Your own server could not be reached, nothing was delivered; try again later.");
  }
}

interface Sent {
  readonly outcome: Outcome;
  readonly lineEndsChanged: boolean;
}

async function send(env: Env, plan: Plan, row: MessageRow, recipient: string): Promise<Sent> {
  const { route } = plan.domain;
  const unchanged = (outcome: Outcome): Sent => ({ outcome, lineEndsChanged: false });
  const path = { kind: "unavailable", where: "path", phase: "connect", reason: "unsupported" } as const;
  if (!route) return unchanged({ ...path, detail: "the domain has no route to its own server" });
  const { receipt, envelope } = row.meta;
  const trace = traceHeaders({ ...receipt, to: [recipient] });
  const unseal = (encrypted: string, keyId: string) => openSecret(env, encrypted, keyId);
  const opened = await openRoute(route, unseal, { helo: env.HOSTNAME, relay: env });
  if (!isOpen(opened)) return unchanged(opened);
  const { session } = opened;
  try {
    const { from, body, smtputf8 } = envelope;
    const writer = await session.begin({ from, size: trace.length + row.size, body, smtputf8 }, recipient);
    if (!isWriter(writer)) return unchanged(writer);
    let failure = await writer.write(trace);
    for await (const chunk of octetsOf(env.MAIL, row.key)) {
      if (failure) return unchanged(failure);
      failure = await writer.write(chunk);
    }
    const outcome = failure ?? (await writer.finish(FINAL_TIMEOUT_REDELIVERY));
    return { outcome, lineEndsChanged: writer.lineEndsChanged };
  } finally {
    session.close();
  }
}
