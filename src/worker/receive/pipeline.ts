/**
 * The mail's way: look at the octets → store them and hand them on, side by side → conclude by the table's row.
 * The recipients have been planned by now (recipients.ts).
 */
import type { Row } from "../../core/decision.ts";
import { MAX_RECEIVED_HEADERS } from "../../core/limits.ts";
import { countReceived, type Header } from "../../core/mime/header.ts";
import { deliveredByUs, traceHeaders } from "../../core/mime/trace.ts";
import type { Outcome, Reply } from "../../core/outcome.ts";
import type { Receipt } from "../archive/meta.ts";
import type { RawMetadata } from "../archive/raw.ts";
import type { Env } from "../env.ts";
import { completeEarlier, conclude, repeated } from "./conclude.ts";
import { type Content, openContent } from "./content.ts";
import type { MailFrom, MessageSource } from "./contract.ts";
import { concludeLate } from "./late-final.ts";
import type { Late } from "./origin-leg.ts";
import type { Patience } from "./patience.ts";
import type { Accepted } from "./recipients.ts";
import { type Earlier, findRepeats, identify, type Repeat } from "./repeat.ts";
import * as replies from "./replies.ts";
import type { Reports } from "./reports.ts";
import { openStoreLeg, type StoreLeg } from "./store-leg.ts";

/** A message that has been planned: who gets it, by which row of the table, and where from. */
export interface Planned {
  readonly env: Env;
  readonly reports: Reports;
  /** At least one; all of one domain and one row. */
  readonly accepted: readonly Accepted[];
  readonly row: Row;
  readonly origin: Destination;
  readonly mail: MailFrom;
  readonly key: string;
  readonly receipt: Receipt;
  readonly patience: Patience;
  /** When the transaction began, unix milliseconds. */
  readonly begun: number;
  /**
   * By envelope recipient: what an earlier try left in some mailboxes and not in all (repeat.ts). Absent where there is nothing
   * of the kind.
   */
  readonly earlier?: ReadonlyMap<string, Earlier>;
  /** Goes on behind the reply; `work` never rejects. */
  background(work: Promise<void>): void;
}

/** Where the octets go on to: the origin, or nowhere, where its answer is known already or not asked for. */
export interface Destination {
  data(trace: Uint8Array): Promise<void>;
  write(chunk: Uint8Array): Promise<void>;
  /** The reply to the final dot, or what ended it before; null where the origin is not asked. */
  finish(): Promise<Outcome | Late | null>;
  close(): void;
  /** Over SMTP a bare CR or LF became CRLF, as far as the octets have gone. */
  readonly lineEndsChanged: boolean;
}

/** A destination that is asked about its recipients first, while the sender waits. */
export interface Leg extends Destination {
  /** Whether a message can still go to the recipients that were accepted. */
  readonly usable: boolean;
  recipient(to: string): Promise<Outcome>;
  finish(): Promise<Outcome | Late>;
}

/** @throws where the sender's connection broke off: nothing was accepted then, and nothing is kept */
export async function carry(planned: Planned, source: MessageSource): Promise<Reply> {
  const { env, accepted, row, origin, receipt, key } = planned;
  const to = accepted.map((recipient) => recipient.to);
  const content = await openContent(source);
  const looping = loopOf(content.header, receipt.host, to);
  if (looping) return looping;
  let repeat = content.whole ? await repeatOf(planned, content) : null;
  if (repeat?.kind === "kept") return repeated(planned);

  const store = openStoreLeg(env.MAIL, row.archive ? key : null, content.size, metadataOf(planned));
  await origin.data(traceHeaders({ ...receipt, to }));
  try {
    for await (const chunk of content.chunks) await Promise.all([store.write(chunk), origin.write(chunk)]);
    // Of a large message this is known only now: the final dot has not been sent yet.
    repeat ??= await repeatOf(planned, content);
    if (repeat.kind === "kept") {
      store.abort();
      return repeated(planned);
    }
  } catch (error) {
    store.abort();
    throw error;
  }
  if (repeat.kind === "part") return carryRest({ ...planned, earlier: repeat.earlier }, content, store);
  const [outcome, unstored] = await Promise.all([origin.finish(), store.finish()]);
  return concludeWith(planned, content, outcome, unstored);
}

/** The rest of a message of which some mailboxes have their part: in the stead of the final dot, which may come too. */
async function carryRest(planned: Planned, content: Content, store: StoreLeg): Promise<Reply> {
  const unstored = await store.finish();
  const completed = planned.row.goesTo === "origin" ? await completeEarlier(planned, content, unstored) : null;
  return completed ?? concludeWith(planned, content, await planned.origin.finish(), unstored);
}

async function concludeWith(
  planned: Planned,
  content: Content,
  outcome: Outcome | Late | null,
  unstored: unknown,
): Promise<Reply> {
  if (planned.origin.lineEndsChanged && outcome && outcome.kind !== "unavailable") tellOfLineEnds(planned);
  if (outcome?.kind === "late") return concludeLate(planned, content, outcome, unstored);
  return conclude(planned, content, outcome, unstored);
}

/** The one thing that is changed on the way to the origin, where it had to be (design, rule 3). */
function tellOfLineEnds({ reports, accepted, receipt, key }: Planned): void {
  const data = { message: receipt.id, key };
  const [first] = accepted;
  if (first) reports.event(first.plan, { kind: "line_ends_changed", actor: "delivery", data });
}

async function repeatOf({ env, accepted, mail, row, receipt }: Planned, content: Content): Promise<Repeat> {
  if (!row.archive) return { kind: "none" };
  return findRepeats(env, await identify(content, mail.from, accepted), receipt.at);
}

/** The envelope of all recipients and the facts of the receipt lie beside the octets too (design, rule 4). */
function metadataOf({ accepted, mail, receipt, row }: Planned): RawMetadata {
  return {
    receipt,
    ...(row.goesTo === "nowhere" ? {} : { goesTo: row.goesTo }),
    direction: "in",
    domain: accepted[0]?.plan.domain.name ?? "",
    from: mail.from,
    recipients: accepted.map((recipient) => recipient.to),
    body: mail.body,
    smtputf8: mail.smtputf8,
  };
}

/** RFC 5321 §6.3. */
function loopOf(header: Header, host: string, to: readonly string[]): Reply | null {
  if (countReceived(header) > MAX_RECEIVED_HEADERS) return replies.tooManyHops(MAX_RECEIVED_HEADERS);
  return to.some((recipient) => deliveredByUs(header, host, recipient)) ? replies.loop : null;
}
