/** Those who write: over the API and over the submission port. What has no answer is tried again by the same name. */
import { setTimeout as pause } from "node:timers/promises";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Service } from "../../demo/service.ts";
import type { Letter } from "./letters.ts";

/** Milliseconds. */
const AGAIN = 300;
const SOCKET_TIMEOUT = 20_000;
const MAX_TRIES = 200;
/** Over the API at the same time; the port is spoken to over one connection. */
const AT_ONCE = 2;

export interface Submitted {
  /** Those that were answered 2xx, by number. */
  readonly accepted: Set<number>;
  /** Those that had no answer, and were not tried again. */
  readonly abandoned: Set<number>;
  /** Tries that had no answer. */
  unanswered: number;
  /** What was refused for good: nothing should be. */
  readonly refused: string[];
}

/** What a try came to: an answer; none; nobody was there to be asked; or a refusal in words. */
type Answer = "accepted" | "none" | "unreached" | { readonly refused: string };

/** @returns once all letters have their answer, or are given up */
export async function submitAll(
  service: Service,
  letters: readonly Letter[],
  token: string,
  password: string,
  into: Submitted,
): Promise<void> {
  const queueOf = (via: Letter["via"]) => letters.filter((letter) => letter.via === via);
  const api = queueOf("api");
  const overApi = async () => {
    for (let letter = api.shift(); letter; letter = api.shift()) {
      const one = letter;
      await untilAnswered(one, () => post(service, one, token), into);
    }
  };
  const overPort = async () => {
    const port = new Port(service, password);
    for (const letter of queueOf("submission")) await untilAnswered(letter, () => port.send(letter), into);
    port.close();
  };
  await Promise.all([overPort(), ...Array.from({ length: AT_ONCE }, overApi)]);
}

async function untilAnswered(letter: Letter, send: () => Promise<Answer>, into: Submitted): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const answer = await send();
    if (answer === "accepted") {
      into.accepted.add(letter.number);
      return;
    }
    if (typeof answer === "object") {
      into.refused.push(`${letter.subject}: ${answer.refused}`);
      return;
    }
    if (answer === "none") {
      into.unanswered++;
      if (letter.impatient) {
        into.abandoned.add(letter.number);
        return;
      }
    }
    await pause(AGAIN);
  }
  into.refused.push(`${letter.subject}: not taken in ${MAX_TRIES} tries`);
}

async function post(service: Service, { number, octets }: Letter, token: string): Promise<Answer> {
  try {
    const response = await fetch(new URL("/api/mail/messages", service.addresses.http), {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "message/rfc822",
        "idempotency-key": `letter-${number}`,
      },
      body: new Uint8Array(octets),
    });
    const text = await response.text();
    if (response.ok) return "accepted";
    return response.status >= 500 ? "none" : { refused: `${response.status} ${text}` };
  } catch (error) {
    // Cut off: what became of it is not known here.
    return (error as { cause?: { code?: string } }).cause?.code === "ECONNREFUSED" ? "unreached" : "none";
  }
}

/** A mail program that stays connected. */
class Port {
  readonly #service: Service;
  readonly #password: string;
  #connection: SMTPConnection | null = null;

  constructor(service: Service, password: string) {
    this.#service = service;
    this.#password = password;
  }

  async send({ from, recipients, octets }: Letter): Promise<Answer> {
    try {
      this.#connection ??= await this.#connect(from);
    } catch {
      return "unreached";
    }
    const connection = this.#connection;
    try {
      await new Promise<void>((resolve, reject) => {
        connection.once("error", reject);
        connection.send({ from, to: [...recipients], use8BitMime: true }, octets, (error) =>
          error ? reject(error) : resolve(),
        );
      });
      connection.removeAllListeners("error");
      connection.on("error", () => this.close());
      return "accepted";
    } catch (error) {
      this.close();
      const { responseCode = 0, message } = error as Error & { responseCode?: number };
      return responseCode >= 500 ? { refused: message } : "none";
    }
  }

  close(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.removeAllListeners("error");
    // What it says as it ends is nobody's to hear.
    connection?.on("error", () => undefined);
    connection?.close();
  }

  #connect(user: string): Promise<SMTPConnection> {
    return new Promise((resolve, reject) => {
      const { host, port } = this.#service.addresses.submissions;
      const connection = new SMTPConnection({
        host,
        port,
        secure: true,
        // Of the service's own making.
        tls: { rejectUnauthorized: false },
        name: "desk.example.org",
        socketTimeout: SOCKET_TIMEOUT,
      });
      const failed = (error: Error) => {
        connection.on("error", () => undefined);
        connection.close();
        reject(error);
      };
      connection.once("error", failed);
      connection.once("end", () => reject(new Error("the connection ended")));
      connection.connect(() => {
        connection.login({ user, pass: this.#password }, (error) => {
          connection.removeListener("error", failed);
          if (error) failed(error);
          else resolve(connection);
        });
      });
    });
  }
}
