/** One transaction over SMTP with all recipients of a parcel; and a connection that is kept for the next parcel of its destination. */
import { FINAL_TIMEOUT_BACKGROUND } from "../../../core/limits.ts";
import { joined } from "../../../core/mime/joined.ts";
import type { Outcome, Refused } from "../../../core/outcome.ts";
import {
  isWriter,
  type MailParameters,
  type MessageWriter,
  type OpenedSession,
  type OriginSession,
} from "../../../core/protocol/smtp/conversation.ts";
import type { Source } from "../../failback/octets.ts";
import type { OutgoingRecipient } from "../../store/outgoing.ts";
import { all, type BeforeDot, type Carriage, ours, type Parcel, type Unreachable, type Verdict } from "./contract.ts";

/** Connects to the destination, greets, secures and authenticates; refused is what takes no mail at all. Never rejects. */
type Open = (destination: string) => Promise<OpenedSession | Refused>;

export class SmtpCarriage implements Carriage {
  readonly #open: Open;
  readonly #unreachable: Unreachable;
  #kept: { readonly destination: string; readonly session: OriginSession } | null = null;

  constructor(open: Open, unreachable: Unreachable) {
    this.#open = open;
    this.#unreachable = unreachable;
  }

  async carry(parcel: Parcel, beforeDot: BeforeDot): Promise<readonly Verdict[]> {
    const { destination, recipients } = parcel;
    const reused = this.#reusable(destination);
    if (reused) {
      const verdicts = await withOctets(parcel, (source) => transact(reused, parcel, source, beforeDot));
      // A server may hang up between two messages (RFC 5321 §3.8): that says nothing about this one.
      if (!verdicts.every(({ outcome }) => isSilence(outcome))) return verdicts;
    }
    this.close();
    const known = this.#unreachable.get(destination);
    if (known) return all(recipients, known);
    const opened = await this.#open(destination);
    if (!("session" in opened)) {
      this.#unreachable.set(destination, opened);
      return all(recipients, opened);
    }
    this.#kept = { destination, session: opened.session };
    return withOctets(parcel, (source) => transact(opened.session, parcel, source, beforeDot));
  }

  close(): void {
    this.#kept?.session.close();
    this.#kept = null;
  }

  #reusable(destination: string): OriginSession | null {
    return this.#kept?.destination === destination && this.#kept.session.usable ? this.#kept.session : null;
  }
}

function isSilence(outcome: Outcome): boolean {
  const early = outcome.kind === "unavailable" && (outcome.phase === "mail" || outcome.phase === "reset");
  return early && (outcome.reason !== "reply" || outcome.reply?.code === 421);
}

/** @returns where the octets cannot be had, that for each recipient: tried again, and no word about the other side */
export async function withOctets(
  parcel: Parcel,
  act: (source: Source) => Promise<readonly Verdict[]>,
): Promise<readonly Verdict[]> {
  let source: Source | null;
  try {
    source = await parcel.open();
  } catch (error) {
    return all(parcel.recipients, ours(`the stored message cannot be read: ${String(error)}`));
  }
  if (!source) return all(parcel.recipients, ours(MISSING));
  try {
    return await act(source);
  } finally {
    source.close();
  }
}

/** An administrator hears of it as an event. */
export const MISSING = "the octets of the message are not in the store";

async function transact(
  session: OriginSession,
  parcel: Parcel,
  source: Source,
  beforeDot: BeforeDot,
): Promise<readonly Verdict[]> {
  const { message, recipients, received, fields } = parcel;
  const { body, smtputf8 } = message.facts;
  const size = received.length + fields.length + source.size;
  const parameters: MailParameters = { from: message.sender, size, body, smtputf8 };
  const begun = await begin(session, parameters, recipients);
  const { writer, taken, verdicts } = begun;
  if (!writer) return verdicts;
  const outcome = await write(writer, [received, fields], source, () => beforeDot(taken));
  return [...verdicts, ...all(taken, outcome)];
}

interface Begun {
  readonly writer: MessageWriter | null;
  readonly taken: readonly OutgoingRecipient[];
  /** Of those that were not taken. */
  readonly verdicts: readonly Verdict[];
}

async function begin(
  session: OriginSession,
  parameters: MailParameters,
  recipients: readonly OutgoingRecipient[],
): Promise<Begun> {
  const none = (verdicts: readonly Verdict[]): Begun => ({ writer: null, taken: [], verdicts });
  const [only, ...others] = recipients;
  if (only && others.length === 0) {
    const writer = await session.begin(parameters, only.recipient);
    return isWriter(writer) ? { writer, taken: [only], verdicts: [] } : none(all(recipients, writer));
  }
  const mail = await session.mail(parameters);
  if (mail.kind !== "delivered") return none(all(recipients, mail));
  const taken: OutgoingRecipient[] = [];
  const verdicts: Verdict[] = [];
  for (const recipient of recipients) {
    const outcome = await session.rcpt(recipient.recipient);
    if (outcome.kind === "delivered") taken.push(recipient);
    else verdicts.push({ recipient, outcome });
    if (!session.usable && outcome.kind !== "delivered") {
      const left = recipients.filter((one) => !verdicts.some((verdict) => verdict.recipient === one));
      return none([...verdicts, ...all(left, outcome)]);
    }
  }
  if (taken.length === 0) return none(verdicts);
  const writer = await session.data();
  return isWriter(writer) ? { writer, taken, verdicts } : none([...verdicts, ...all(taken, writer)]);
}

async function write(
  writer: MessageWriter,
  head: readonly Uint8Array[],
  source: Source,
  beforeDot: () => void,
): Promise<Outcome> {
  // Most messages are small: what goes on top goes out in one piece with them.
  let pending: readonly Uint8Array[] = head;
  for (;;) {
    let chunk: Uint8Array | null;
    try {
      chunk = await source.next();
      if (!chunk) beforeDot();
    } catch (error) {
      writer.abort();
      return ours(`it was left before its final dot: ${String(error)}`);
    }
    const octets = joined(chunk ? [...pending, chunk] : pending);
    pending = [];
    const failed = octets.length > 0 ? await writer.write(octets) : null;
    if (failed) return failed;
    if (!chunk) return writer.finish(FINAL_TIMEOUT_BACKGROUND);
  }
}
