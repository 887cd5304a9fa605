/** A sender's server: on a 4xx or a broken connection it comes again with the same octets, on a 2xx or 5xx it is done. */
import type { Reply } from "../../../src/core/outcome.ts";
import { send, sendByEmailRouting } from "../receive/organisation.ts";

/** Email Routing hands these octets on. */
export type Forwarding = (octets: Uint8Array, to: string) => Promise<unknown>;

export type Way = "Email Routing" | "the gateway";

export class Sender {
  readonly #way: Way;
  readonly #octets: Uint8Array<ArrayBuffer>;
  readonly #forwarding: Forwarding | null;
  /** What was heard for each recipient, at each try. */
  readonly #heard: ReadonlyMap<string, Reply[]>;
  /** How often it came. */
  tries = 0;

  /** @param forwarding what `message.forward()` does, where the domain's mail is forwarded */
  constructor(
    way: Way,
    octets: Uint8Array<ArrayBuffer>,
    recipients: readonly string[],
    forwarding: Forwarding | null = null,
  ) {
    this.#way = way;
    this.#octets = octets;
    this.#forwarding = forwarding;
    this.#heard = new Map(recipients.map((to) => [to, []]));
  }

  get recipients(): string[] {
    return [...this.#heard.keys()];
  }

  get pending(): string[] {
    return this.recipients.filter((to) => isTemporary(this.last(to)));
  }

  last(to: string): Reply | undefined {
    return this.#heard.get(to)?.at(-1);
  }

  /**
   * To everyone who is still to have it; one transaction, or as many as the replies ask for.
   * @param answered called when the reply has come, before what goes on behind it is waited for
   */
  async try(answered: () => Promise<void> = async () => undefined): Promise<void> {
    const to = this.pending;
    if (to.length === 0) return;
    this.tries++;
    if (this.#way === "Email Routing") {
      for (const one of to) this.#heard.get(one)?.push(await this.#byEmailRouting(one, answered));
      return;
    }
    const { rcpt, final } = await send(to, this.#octets, { answered });
    for (const [index, one] of to.entries()) {
      const reply = rcpt[index];
      const heard = reply && reply.code >= 300 ? reply : final;
      if (heard) this.#heard.get(one)?.push(heard);
    }
  }

  async #byEmailRouting(to: string, answered: () => Promise<void>): Promise<Reply> {
    const forwarding = this.#forwarding;
    const forward = async (inside: string): Promise<EmailSendResult> =>
      (await forwarding?.(this.#octets, inside)) as EmailSendResult;
    const more = { ...(forwarding ? { forward } : {}), answered };
    const { kind, text } = await sendByEmailRouting(to, this.#octets, undefined, more);
    if (kind === "accepted") return { code: 250, text };
    // What is thrown out of email() becomes a temporary failure; a permanent one has its code in front.
    return { code: kind === "rejected" ? Number(text.slice(0, 3)) : 451, text };
  }

  /** The codes of all tries, `451, then 250`; those of the recipients where they differ. */
  heard(): string {
    const all = [...this.#heard.values()].map((replies) => replies.map(({ code }) => code).join(", then "));
    return [...new Set(all)].join(" | ");
  }
}

function isTemporary(reply: Reply | undefined): boolean {
  return reply === undefined || (reply.code >= 400 && reply.code < 500);
}

/** Messages of the tests are told by their subjects. */
export function subjectOf(octets: Uint8Array): string {
  return /^Subject: (.*)\r$/m.exec(new TextDecoder().decode(octets.subarray(0, 1000)))?.[1] ?? "";
}
