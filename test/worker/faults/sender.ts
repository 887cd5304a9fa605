/** A sender's server: on a 4xx or a broken connection it comes again with the same octets, on a 2xx or 5xx it is done. */
import type { Reply } from "../../../src/core/outcome.ts";
import { send, sendByEmailRouting } from "../receive/organisation.ts";

export type Way = "Email Routing" | "the gateway";

export class Sender {
  readonly #way: Way;
  readonly #octets: Uint8Array<ArrayBuffer>;
  /** What was heard for each recipient, at each try. */
  readonly #heard: ReadonlyMap<string, Reply[]>;
  /** How often it came. */
  tries = 0;

  constructor(way: Way, octets: Uint8Array<ArrayBuffer>, recipients: readonly string[]) {
    this.#way = way;
    this.#octets = octets;
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

  /** To everyone who is still to have it; one transaction, or as many as the replies ask for. */
  async try(): Promise<void> {
    const to = this.pending;
    if (to.length === 0) return;
    this.tries++;
    if (this.#way === "Email Routing") {
      for (const one of to) this.#heard.get(one)?.push(await byEmailRouting(one, this.#octets));
      return;
    }
    const { rcpt, final } = await send(to, this.#octets);
    for (const [index, one] of to.entries()) {
      const reply = rcpt[index];
      const heard = reply && reply.code >= 300 ? reply : final;
      if (heard) this.#heard.get(one)?.push(heard);
    }
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

async function byEmailRouting(to: string, octets: Uint8Array<ArrayBuffer>): Promise<Reply> {
  const { kind, text } = await sendByEmailRouting(to, octets);
  if (kind === "accepted") return { code: 250, text };
  // What is thrown out of email() becomes a temporary failure; a permanent one has its code in front.
  return { code: kind === "rejected" ? Number(text.slice(0, 3)) : 451, text };
}

/** Messages of the tests are told by their subjects. */
export function subjectOf(octets: Uint8Array): string {
  return /^Subject: (.*)\r$/m.exec(new TextDecoder().decode(octets.subarray(0, 1000)))?.[1] ?? "";
}
