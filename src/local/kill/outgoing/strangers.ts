/** The servers of those who are written to: one for each place, and one that takes mail for all of them. What they said is kept. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { SMTPServer } from "smtp-server";
import type { Records } from "../name-server.ts";
import { PLACES, temperOf, UNWANTED } from "./letters.ts";

/** One recipient's part of what a server said. */
export interface Said {
  /** Unix milliseconds, before the reply went out. */
  readonly at: number;
  readonly host: string;
  readonly to: string;
  readonly outcome: "taken" | "refused" | "later";
  /** As it goes over the wire. */
  readonly reply: string;
  /** Of the octets below the first field; empty where there were none. */
  readonly sha256: string;
}

/** Takes mail for everybody. */
export const SMART_HOST = "127.0.0.1";
const hostOf = (place: (typeof PLACES)[number]) => `127.0.0.${PLACES.indexOf(place) + 2}`;
const HOSTS = [SMART_HOST, ...PLACES.map(hostOf)];

/** The places' MX records. */
export const zone = (): Record<string, Records> =>
  Object.fromEntries(
    PLACES.flatMap((place): [string, Records][] => [
      [place, { mx: [[10, `mx.${place}`]] }],
      [`mx.${place}`, { a: [hostOf(place)] }],
    ]),
  );

export class Strangers {
  /** The same on all hosts. */
  readonly port: number;
  readonly said: Said[] = [];
  readonly #slow: number;
  readonly #random: () => number;
  #servers: SMTPServer[] = [];
  #count = 0;

  private constructor(port: number, slow: number, random: () => number) {
    this.port = port;
    this.#slow = slow;
    this.#random = random;
  }

  /** Nobody listens before `open`. @param slow a final dot is answered up to so many milliseconds after the message was taken */
  static async reserve(slow: number, random: () => number): Promise<Strangers> {
    const probe = createServer().listen(0, SMART_HOST);
    await once(probe, "listening");
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, "close");
    return new Strangers(port, slow, random);
  }

  async open(): Promise<void> {
    for (const host of HOSTS) {
      const server = this.#server(host);
      // A connection that is cut off is what is rehearsed.
      server.on("error", () => undefined);
      await new Promise<void>((resolve, reject) => {
        server.server.once("error", reject);
        server.listen(this.port, host, resolve);
      });
      this.#servers.push(server);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.splice(0).map((server) => new Promise<void>((resolve) => server.close(resolve))));
  }

  #server(host: string): SMTPServer {
    return new SMTPServer({
      name: `${host}.example`,
      disabledCommands: ["AUTH", "STARTTLS"],
      disableReverseLookup: true,
      logger: false,
      closeTimeout: 100,
      onRcptTo: ({ address }, _session, done) => {
        const refused = this.#refusal(host, address);
        done(refused ? failure(refused) : null);
      },
      onData: (stream, session, done) => {
        const parts: Buffer[] = [];
        stream.on("data", (part: Buffer) => parts.push(part));
        stream.on("end", () => {
          const to = session.envelope.rcptTo.map(({ address }) => address);
          const reply = this.#take(host, to, Buffer.concat(parts));
          setTimeout(
            () => (reply.startsWith("250 ") ? done(null, reply.slice(4)) : done(failure(reply))),
            this.#random() * this.#slow,
          );
        });
      },
    });
  }

  /** @returns the reply; null: the recipient is taken */
  #refusal(host: string, to: string): string | null {
    const temper = temperOf(to);
    if (temper === "nobody") return this.#say(host, [to], "refused", "550 5.1.1 Nobody of that name", "");
    if (temper === "later" && !this.said.some((one) => one.to === to))
      return this.#say(host, [to], "later", "451 4.7.1 Come again", "");
    return null;
  }

  #take(host: string, to: readonly string[], octets: Buffer): string {
    const text = octets.toString("latin1");
    if (text.includes(`\r\n${UNWANTED}\r\n`))
      return this.#say(host, to, "refused", "554 5.7.1 We do not want this", "");
    // Our Received and nothing else is on top.
    const top = /^Received: [^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n/.exec(text)?.[0].length ?? 0;
    const sha256 = createHash("sha256").update(octets.subarray(top)).digest("hex");
    return this.#say(host, to, "taken", `250 2.0.0 Ok: queued as ${host}-${++this.#count}`, sha256);
  }

  #say(host: string, recipients: readonly string[], outcome: Said["outcome"], reply: string, sha256: string): string {
    for (const to of recipients) this.said.push({ at: Date.now(), host, to, outcome, reply, sha256 });
    return reply;
  }
}

function failure(reply: string): Error {
  return Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
}
