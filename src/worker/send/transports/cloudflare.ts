/**
 * Cloudflare's send_email binding: it signs, adds its own Received and bounces by itself, so nothing of ours goes on top. One call
 * a recipient, since the binding takes one for a raw message.
 */
import { EmailMessage } from "cloudflare:email";
import { joined } from "../../../core/mime/joined.ts";
import type { Outcome, Reply } from "../../../core/outcome.ts";
import { CLOUDFLARE_SEND_TIMEOUT } from "../../../core/send/limits.ts";
import type { Env } from "../../env.ts";
import type { Source } from "../../failback/octets.ts";
import { within } from "../../store/deadline.ts";
import { all, type BeforeDot, type Carriage, ours, type Parcel, type Transport, type Verdict } from "./contract.ts";
import { withOctets } from "./smtp.ts";

export function cloudflare(env: Env): Transport {
  return { destinationOf: () => "cloudflare", open: () => new CloudflareCarriage(env) };
}

/** What the service says of this very message or recipient, for good; all else is about the account, or passes. */
const FOR_GOOD: ReadonlyMap<string, string> = new Map([
  ["E_VALIDATION_ERROR", "5.6.0"],
  ["E_FIELD_MISSING", "5.6.0"],
  ["E_HEADER_NOT_ALLOWED", "5.6.0"],
  ["E_CONTENT_TOO_LARGE", "5.3.4"],
  ["E_RECIPIENT_NOT_ALLOWED", "5.7.1"],
  ["E_RECIPIENT_SUPPRESSED", "5.1.1"],
]);

class CloudflareCarriage implements Carriage {
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  async carry(parcel: Parcel, beforeDot: BeforeDot): Promise<readonly Verdict[]> {
    return withOctets(parcel, async (source) => {
      const octets = await wholeOf(source);
      const verdicts: Verdict[] = [];
      for (const recipient of parcel.recipients) {
        try {
          beforeDot([recipient]);
        } catch (error) {
          verdicts.push(...all([recipient], ours(`it was left before it was sent: ${String(error)}`)));
          continue;
        }
        verdicts.push({ recipient, outcome: await this.#send(parcel.message.sender, recipient.recipient, octets) });
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
