/** A message as people and scripts get it back: found in the archive, its octets, its parts, its page. */
import { createHash } from "node:crypto";
import { z } from "zod";

const Addresses = z.array(z.object({ name: z.string(), address: z.string() }));
const Found = z.object({ items: z.array(z.object({ id: z.string(), recipient: z.string() })) });
const Opened = z.object({
  subject: z.string(),
  from: Addresses,
  to: Addresses,
  cc: Addresses,
  date: z.string().nullable(),
  text: z.string(),
  html: z.string().nullable(),
  attachments: z.array(z.object({ n: z.number(), name: z.string(), type: z.string(), inline: z.boolean() })),
});

export interface ReadBack {
  readonly raw: Buffer;
  readonly subject: string;
  readonly from: z.infer<typeof Addresses>;
  readonly to: z.infer<typeof Addresses>;
  readonly cc: z.infer<typeof Addresses>;
  /** ISO 8601; null where the header has none that can be read. */
  readonly date: string | null;
  readonly text: string;
  readonly attachments: readonly ReadAttachment[];
  /** The pages that a browser loads for it were all answered 200. */
  readonly rendered: boolean;
}

export interface ReadAttachment {
  readonly name: string;
  readonly type: string;
  readonly octets: number;
  readonly sha256: string;
}

/** Milliseconds for one answer: the service itself gives up after 20 s (ANSWER_TIMEOUT). */
const REQUEST_LIMIT = 30_000;
/** Newest messages among which one that was accepted just now is looked for. */
const NEWEST = 5;

export class Reader {
  readonly #http: string;
  readonly #token: string;
  readonly #mailbox: string;

  /** @param http `http://127.0.0.1:8787` */
  constructor(http: string, token: string, mailbox: string) {
    this.#http = http;
    this.#token = token;
    this.#mailbox = mailbox;
  }

  /** @param to of the envelope. @throws where any part of it is not to be had */
  async read(to: string): Promise<ReadBack> {
    const { items } = Found.parse(
      await this.#json(`/api/archive?mailbox=${encodeURIComponent(this.#mailbox)}&limit=${NEWEST}`),
    );
    const id = items.find(({ recipient }) => recipient === to)?.id;
    if (id === undefined) throw new Error("it was accepted, and the archive does not list it");
    const raw = await this.#octets(`/api/archive/${id}/raw`);
    const opened = Opened.parse(await this.#json(`/api/archive/${id}`));
    const attachments: ReadAttachment[] = [];
    for (const { n, name, type } of opened.attachments) {
      const octets = await this.#octets(`/api/archive/${id}/attachments/${n}`);
      attachments.push({ name, type, octets: octets.length, sha256: sha256(octets) });
    }
    const pages = [`/archive/${id}`, ...(opened.html === null ? [] : [`/archive/${id}/body`])];
    let rendered = true;
    for (const page of pages) {
      const response = await this.#get(page);
      await response.arrayBuffer();
      if (response.status !== 200) rendered = false;
    }
    const { subject, from, to: addressees, cc, date, text } = opened;
    return { raw, subject, from, to: addressees, cc, date, text, attachments, rendered };
  }

  async #json(path: string): Promise<unknown> {
    const response = await this.#ok(path);
    return response.json();
  }

  async #octets(path: string): Promise<Buffer> {
    const response = await this.#ok(path);
    return Buffer.from(await response.arrayBuffer());
  }

  async #ok(path: string): Promise<Response> {
    const response = await this.#get(path);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${(await response.text()).slice(0, 500)}`);
    return response;
  }

  #get(path: string): Promise<Response> {
    return fetch(new URL(path, this.#http), {
      headers: { authorization: `Bearer ${this.#token}` },
      signal: AbortSignal.timeout(REQUEST_LIMIT),
    });
  }
}

export function sha256(octets: Uint8Array): string {
  return createHash("sha256").update(octets).digest("hex");
}
