/** The strangers' mail server of the demonstration: a queue that tries again, as each does (RFC 5321 §4.5.4). */
import { setTimeout as pause } from "node:timers/promises";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { CorpusMessage } from "./corpus.ts";

export interface Sent extends CorpusMessage {
  readonly from: string;
  readonly to: string;
  /** When the MX said 250, unix milliseconds. */
  readonly acceptedAt: number;
  readonly tries: number;
}

export interface Job extends CorpusMessage {
  readonly from: string;
  readonly to: string;
}

const RETRY = 1_000;
const MAX_TRIES = 60;

export class Sender {
  readonly #host: string;
  readonly #port: number;
  readonly sent: Sent[] = [];
  /** What a server said for good, with its reply. */
  readonly bounced: { job: Job; reply: string }[] = [];

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /** Sends all, over so many connections at once. */
  async send(jobs: readonly Job[], connections: number, onSent: () => void = () => {}): Promise<void> {
    const queue = [...jobs];
    await this.stream(async () => queue.shift() ?? null, connections, onSent);
  }

  /** Sends what `next` gives, over so many connections at once, until it gives null. */
  async stream(next: () => Promise<Job | null>, connections: number, onSent: () => void = () => {}): Promise<void> {
    const work = async () => {
      for (let job = await next(); job; job = await next()) {
        await this.#untilAnswered(job);
        onSent();
      }
    };
    await Promise.all(Array.from({ length: connections }, work));
  }

  async #untilAnswered(job: Job): Promise<void> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      try {
        await deliver(this.#host, this.#port, job);
        this.sent.push({ ...job, acceptedAt: Date.now(), tries });
        return;
      } catch (error) {
        const code = (error as { responseCode?: number }).responseCode ?? 0;
        if (code >= 500) {
          this.bounced.push({ job, reply: (error as { response?: string }).response ?? String(error) });
          return;
        }
        await pause(RETRY);
      }
    }
    throw new Error(`the MX did not take ${job.name} in ${MAX_TRIES} tries`);
  }
}

function deliver(host: string, port: number, job: Job): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = new SMTPConnection({
      host,
      port,
      secure: false,
      ignoreTLS: true,
      name: "mail.example.net",
      socketTimeout: 60_000,
    });
    connection.once("error", reject);
    connection.connect(() => {
      connection.send({ from: job.from, to: [job.to], use8BitMime: true }, job.octets, (error) => {
        connection.quit();
        if (error) reject(error);
        else resolve();
      });
    });
  });
}
