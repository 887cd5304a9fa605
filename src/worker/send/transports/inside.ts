/**
 * Recipients of this service's own domains: by the same decision as mail from outside. In emergency mode it is in the colleague's
 * portal inbox at once, in normal mode their own server has it.
 */
import type { Outcome, Reply } from "../../../core/outcome.ts";
import type { Env } from "../../env.ts";
import type { Source } from "../../failback/octets.ts";
import { openTransaction } from "../../receive/transaction.ts";
import type { OutgoingRecipient } from "../../store/outgoing.ts";
import { all, type BeforeDot, type Carriage, ours, type Parcel, type Transport, type Verdict } from "./contract.ts";
import { withOctets } from "./smtp.ts";

type Background = Pick<ExecutionContext, "waitUntil">;

export const INSIDE = "inside ";

export function inside(env: Env, ctx: Background): Transport {
  return { destinationOf: (domain) => `${INSIDE}${domain}`, open: () => new InsideCarriage(env, ctx) };
}

class InsideCarriage implements Carriage {
  readonly #env: Env;
  readonly #ctx: Background;

  constructor(env: Env, ctx: Background) {
    this.#env = env;
    this.#ctx = ctx;
  }

  async carry(parcel: Parcel, beforeDot: BeforeDot): Promise<readonly Verdict[]> {
    const verdicts: Verdict[] = [];
    let left = parcel.recipients;
    // Recipients of another row of the table come in a transaction of their own (452 4.5.3).
    while (left.length > 0) {
      const round = await this.#transact(parcel, left, beforeDot);
      verdicts.push(...round.verdicts);
      left = round.again;
    }
    return verdicts;
  }

  close(): void {}

  async #transact(parcel: Parcel, recipients: readonly OutgoingRecipient[], beforeDot: BeforeDot) {
    const { sender: from, facts } = parcel.message;
    const { receipt, body, smtputf8 } = facts;
    const size = parcel.received.length + parcel.fields.length + parcel.message.size;
    const transaction = openTransaction(this.#env, this.#ctx, receipt.client, { from, body, smtputf8, size });
    const taken: OutgoingRecipient[] = [];
    const again: OutgoingRecipient[] = [];
    const verdicts: Verdict[] = [];
    let carried = false;
    try {
      for (const recipient of recipients) {
        const reply = await transaction.recipient(recipient.recipient);
        if (reply.code < 300) taken.push(recipient);
        else if (taken.length > 0 && reply.enhanced === "4.5.3") again.push(recipient);
        else verdicts.push({ recipient, outcome: outcomeOf(reply, "rcpt") });
      }
      if (taken.length > 0) {
        const final = await withOctets({ ...parcel, recipients: taken }, async (source) => {
          beforeDot(taken);
          carried = true;
          const chunks = octets(parcel, source);
          return all(taken, outcomeOf(await transaction.message({ size, chunks }), "final"));
        });
        verdicts.push(...final);
      }
    } catch (error) {
      const known = new Set(verdicts.map((one) => one.recipient));
      const open = recipients.filter((one) => !known.has(one) && !again.includes(one));
      verdicts.push(...all(open, ours(`it could not be handed over: ${String(error)}`)));
    } finally {
      if (!carried) transaction.abort();
    }
    return { verdicts, again };
  }
}

async function* octets({ received, fields }: Parcel, source: Source): AsyncGenerator<Uint8Array> {
  yield received;
  if (fields.length > 0) yield fields;
  for (let chunk = await source.next(); chunk; chunk = await source.next()) yield chunk;
}

/** As if it had been heard over SMTP. */
export function outcomeOf(reply: Reply, phase: "rcpt" | "final"): Outcome {
  if (reply.code < 300) return { kind: "delivered", reply };
  if (reply.code >= 500) return { kind: "refused", phase, reply };
  return { kind: "unavailable", where: "origin", phase, reason: "reply", reply };
}
