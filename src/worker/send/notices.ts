/**
 * Reports to senders go the way of mail from outside: in emergency mode into their portal inbox, else to their own server. One to a
 * sender elsewhere, of what an origin relayed, is queued as any mail. A report is never answered with a report.
 */

import { STORE_TIMEOUT } from "../../core/limits.ts";
import { readHeader } from "../../core/mime/header.ts";
import { formatReply, type Reply } from "../../core/outcome.ts";
import { MAX_RETURNED_HEADER_BYTES, SEND_EXPIRY, STOPPED_PAUSE } from "../../core/send/limits.ts";
import { once } from "../archive/octets.ts";
import { getRaw } from "../archive/raw.ts";
import { openTransaction } from "../receive/transaction.ts";
import { within } from "../store/deadline.ts";
import type { OutgoingMessage, OutgoingRecipient } from "../store/outgoing.ts";
import { domainsAmong } from "../store/outgoing-settings.ts";
import type { Submission } from "./contract.ts";
import { deliveryReport, type ReportFacts } from "./delivery-report.ts";
import type { RunParts } from "./run.ts";
import { submit } from "./submit.ts";
import { domainOf } from "./way-out.ts";

/** A report that nobody takes is tried as long as the message was. */
const GIVE_UP = 2 * SEND_EXPIRY;

type Told = "told" | "later" | "never";

export class Notices {
  readonly #parts: RunParts;

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  /** @returns unix milliseconds of the next try; null: it is settled. Never rejects */
  async failed(message: OutgoingMessage, recipients: readonly OutgoingRecipient[]): Promise<number | null> {
    if (message.sender === "") return null;
    const told = await this.#report("failed", message, recipients);
    const now = this.#parts.world.now();
    if (told === "later" && now < message.createdAt + GIVE_UP) return now + STOPPED_PAUSE;
    if (told !== "told") this.#lost(message, recipients);
    return null;
  }

  /** @returns whether it need not be tried again. Never rejects */
  async delayed(message: OutgoingMessage, recipients: readonly OutgoingRecipient[]): Promise<boolean> {
    return message.sender === "" || (await this.#report("delayed", message, recipients)) !== "later";
  }

  async #report(
    kind: ReportFacts["kind"],
    message: OutgoingMessage,
    recipients: readonly OutgoingRecipient[],
  ): Promise<Told> {
    const { env } = this.#parts.world;
    try {
      const header = await this.#headerOf(message);
      const octets = await deliveryReport({ kind, host: env.HOSTNAME, message, recipients, header });
      const domain = domainOf(message.sender);
      const own = await domainsAmong(env.DIRECTORY, [domain]);
      return own.has(domain) ? await this.#handOver(message, octets) : await this.#queue(message, octets);
    } catch (error) {
      console.error("a report to a sender could not be handed over yet", message.facts.receipt.id, String(error));
      return "later";
    }
  }

  async #handOver({ sender }: OutgoingMessage, octets: Uint8Array): Promise<Told> {
    const { world, ctx } = this.#parts;
    const client = { ip: "", helo: world.env.HOSTNAME, protocol: "ESMTP" };
    const mail = { from: "", body: "7BIT", smtputf8: false, size: octets.length } as const;
    const transaction = openTransaction(world.env, ctx, client, mail);
    const rcpt = await transaction.recipient(sender);
    if (rcpt.code >= 300) {
      transaction.abort();
      return toldBy(rcpt);
    }
    return toldBy(await transaction.message({ size: octets.length, chunks: once(octets) }));
  }

  async #queue({ sender }: OutgoingMessage, octets: Uint8Array): Promise<Told> {
    const { world, ctx, domain } = this.#parts;
    const submission: Submission = {
      domain: domain.name,
      writer: { kind: "system" },
      from: "",
      recipients: [sender],
      body: "7BIT",
      smtputf8: false,
      client: { ip: "", helo: "", protocol: "ESMTP" },
      octets: once(octets),
      size: octets.length,
      request: null,
    };
    const submitted = await submit(world.env, ctx, submission, world.now());
    if (submitted.ok) return "told";
    const { reason } = submitted.error;
    return reason === "temporary" || reason === "busy" ? "later" : "never";
  }

  /** Whole fields only. Where it cannot be had the report goes without: it is worth more than what it brings. */
  async #headerOf({ key, size }: OutgoingMessage): Promise<Uint8Array> {
    const length = Math.min(size, MAX_RETURNED_HEADER_BYTES);
    try {
      const raw = await within(getRaw(this.#parts.world.env.MAIL, key, { offset: 0, length }), STORE_TIMEOUT, "R2 get");
      if (!raw) return new Uint8Array(0);
      const octets = new Uint8Array(await within(raw.arrayBuffer(), STORE_TIMEOUT, "R2 read"));
      const { fields, complete } = readHeader(octets);
      return octets.subarray(0, (complete ? fields.at(-1) : fields.at(-2))?.end ?? 0);
    } catch (error) {
      console.error("a report goes without the header of its message", key, String(error));
      return new Uint8Array(0);
    }
  }

  #lost({ facts, sender }: OutgoingMessage, recipients: readonly OutgoingRecipient[]): void {
    const data = { message: facts.receipt.id, sender, recipients: recipients.map(({ recipient }) => recipient) };
    this.#parts.event({ kind: "report_undeliverable", actor: "sending", data });
  }
}

function toldBy(reply: Reply): Told {
  if (reply.code < 300) return "told";
  if (reply.code < 500) return "later";
  console.warn("a sender's own server takes no report", formatReply(reply));
  return "never";
}
