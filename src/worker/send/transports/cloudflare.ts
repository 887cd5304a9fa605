/**
 * Cloudflare's send_email binding: it signs, adds its own Received and bounces by itself, so nothing of ours goes on top. One call
 * a recipient, since the binding takes one for a raw message.
 */
import { EmailMessage } from "cloudflare:email";
import { mailboxes } from "../../../core/mime/addresses.ts";
import { readHeader } from "../../../core/mime/header.ts";
import { joined } from "../../../core/mime/joined.ts";
import type { Outcome, Reply } from "../../../core/outcome.ts";
import { CLOUDFLARE_SEND_TIMEOUT } from "../../../core/send/limits.ts";
import type { Env } from "../../env.ts";
import type { Source } from "../../failback/octets.ts";
import { within } from "../../store/deadline.ts";
import { normal } from "./cloudflare-rules.ts";
import { all, type BeforeDot, type Carriage, ours, type Parcel, type Transport, type Verdict } from "./contract.ts";
import { withOctets } from "./smtp.ts";

export function cloudflare(env: Env): Transport {
  return { destinationOf: () => "cloudflare", open: () => new CloudflareCarriage(env) };
}

/**
 * What it says of this very message or recipient, for good, by the code of its error, as the enhanced status of a reply:
 * https://developers.cloudflare.com/email-service/api/send-emails/workers-api/#error-codes (2026-11). All else is tried again:
 * limits and failures of the service pass, and what is wrong with the account, its domains or the binding's settings
 * (E_SENDER_NOT_VERIFIED, E_SENDER_DOMAIN_NOT_AVAILABLE, E_RECIPIENT_NOT_ALLOWED) an administrator mends, and must bounce nobody's mail
 * until then. E_DELIVERY_FAILED does not say for how long; whose server refuses for good is soon on the suppression list.
 */
const FOR_GOOD: ReadonlyMap<string, string> = new Map([
  ["E_VALIDATION_ERROR", "5.6.0"],
  ["E_FIELD_MISSING", "5.6.0"],
  ["E_CONTENT_TOO_LARGE", "5.3.4"],
  // Addresses that bounced or whose people complained; for how long, an entry of the list alone says.
  ["E_RECIPIENT_SUPPRESSED", "5.7.1"],
  ["E_HEADER_NOT_ALLOWED", "5.6.0"],
  ["E_HEADER_USE_API_FIELD", "5.6.0"],
  ["E_HEADER_VALUE_INVALID", "5.6.0"],
  ["E_HEADER_VALUE_TOO_LONG", "5.6.0"],
  ["E_HEADER_NAME_INVALID", "5.6.0"],
  ["E_HEADERS_TOO_LARGE", "5.6.0"],
  ["E_HEADERS_TOO_MANY", "5.6.0"],
]);

class CloudflareCarriage implements Carriage {
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  async carry(parcel: Parcel, beforeDot: BeforeDot): Promise<readonly Verdict[]> {
    return withOctets(parcel, async (source) => {
      const octets = await wholeOf(source);
      const from = asWritten(parcel.message.sender, octets);
      const verdicts: Verdict[] = [];
      for (const recipient of parcel.recipients) {
        try {
          beforeDot([recipient]);
        } catch (error) {
          verdicts.push(...all([recipient], ours(`it was left before it was sent: ${String(error)}`)));
          continue;
        }
        verdicts.push({ recipient, outcome: await this.#send(from, recipient.recipient, octets) });
      }
      return verdicts;
    });
  }

  close(): void {}

  async #send(from: string, to: string, octets: Uint8Array<ArrayBuffer>): Promise<Outcome> {
    const raw = new Response(octets).body;
    if (!raw) return ours("the stored message is empty");
    try {
      const sent = this.#env.SEND_EMAIL.send(new EmailMessage(from, to, raw));
      const { messageId } = await within(sent, CLOUDFLARE_SEND_TIMEOUT, "send_email");
      const reply: Reply = { code: 250, enhanced: "2.0.0", text: `Cloudflare took it as ${messageId}` };
      return { kind: "delivered", where: "path", reply };
    } catch (error) {
      return outcomeOf(error);
    }
  }
}

/**
 * The sender as From writes it: the binding compares the two letter by letter, and ours is in normal form. Where From is somebody else's
 * (the message was queued for another way out) it stays what it is, for the service to refuse.
 */
function asWritten(sender: string, octets: Uint8Array): string {
  const from = readHeader(octets).fields.filter(({ name }) => name === "from");
  const [author] = from.flatMap(({ value }) => mailboxes(value, null));
  return author && normal(author.address) === normal(sender) ? author.address : sender;
}

/** Its limit is 5 MiB (cloudflare-rules.ts). */
async function wholeOf(source: Source): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for (let piece = await source.next(); piece; piece = await source.next()) pieces.push(piece);
  return joined(pieces);
}

function outcomeOf(error: unknown): Outcome {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
  const text = error instanceof Error ? error.message : String(error);
  const enhanced = FOR_GOOD.get(code);
  if (enhanced === undefined) return ours(`Cloudflare did not take it: ${code === "" ? "" : `${code} `}${text}`);
  return { kind: "refused", phase: "final", reply: { code: 550, enhanced, text: `Cloudflare: ${code} ${text}` } };
}
