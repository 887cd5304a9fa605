/** Every file through the whole service, one after another: sent, found, compared, rendered. A message never ends the run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { MAX_MESSAGE_BYTES } from "../../core/limits.ts";
import { formatReply, type Reply } from "../../core/outcome.ts";
import { parseSecrets } from "../../core/protocol/gateway/signature.ts";
import type { WorkerLink } from "../../gateway/worker-link.ts";
import { Service } from "../demo/service.ts";
import { running } from "../orphan.ts";
import { keepSecrets } from "../secrets.ts";
import { withCrlf, withLastLineEnd } from "./files.ts";
import { handOver } from "./hand-over.ts";
import { type CorpusLine, compareAtOrigin, readBackFields } from "./line.ts";
import { peakOf, resetPeak } from "./memory.ts";
import type { CorpusOptions } from "./options.ts";
import { CorpusOrigin } from "./origin.ts";
import { type ReadBack, Reader } from "./read-back.ts";
import { sendBySmtp } from "./smtp-sender.ts";

const DOMAIN = "corpus.example";
const MAILBOX = `reader@${DOMAIN}`;
const TOKEN = "operator-token-of-a-corpus-run";
/** Milliseconds for all of one message; each step has its own, shorter limit. */
const MESSAGE_LIMIT = 180_000;
/** Milliseconds until a workerd that died must be back (local/runtime.ts starts it again). */
const BACK_LIMIT = 60_000;
/** One look at whether it is back: a connection to a process that is being replaced may hang. */
const LOOK_LIMIT = 2_000;
const STEP = 250;

export interface Result {
  readonly line: CorpusLine;
  readonly reply: Reply | null;
}

/** The service in a folder of its own, with a domain, a mailbox and an origin that takes everything. */
export class CorpusRun {
  readonly #service: Service;
  readonly #origin: CorpusOrigin;
  readonly #reader: Reader;
  readonly #link: WorkerLink;
  readonly #state: string;
  readonly #options: CorpusOptions;

  private constructor(service: Service, origin: CorpusOrigin, state: string, options: CorpusOptions) {
    this.#service = service;
    this.#origin = origin;
    this.#state = state;
    this.#options = options;
    this.#reader = new Reader(service.addresses.http, TOKEN, MAILBOX);
    const secrets = parseSecrets(keepSecrets(state, null).secrets.gatewaySecrets);
    if (!secrets.ok) throw new Error(`the service's gateway secrets: ${secrets.error}`);
    this.#link = { worker: new URL(service.addresses.http), secrets: secrets.value };
  }

  /** @param state an empty folder. @throws where the service does not start; nothing is left running then */
  static async start(state: string, options: CorpusOptions): Promise<CorpusRun> {
    const origin = await CorpusOrigin.start();
    try {
      const service = await Service.start(state, TOKEN, { own: true });
      try {
        await service.call("PUT", `/api/domains/${DOMAIN}`, {
          continuity: true,
          coverage: "all",
          switching: "manual",
          origin: { transport: "smtp", host: "127.0.0.1", port: origin.port, tls: "none" },
        });
        await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${MAILBOX}`, {});
        return new CorpusRun(service, origin, state, options);
      } catch (error) {
        await service.stop();
        throw error;
      }
    } catch (error) {
      await origin.stop();
      throw error;
    }
  }

  /** @param number of the file, from 1. Never throws: what goes wrong stands in the line */
  async message(file: string, number: number): Promise<Result> {
    const pids = { workerd: running(this.#state, "workerd"), gateway: running(this.#state, "gateway") };
    const counted = { workerd: resetPeak(pids.workerd), gateway: resetPeak(pids.gateway) };
    const began = performance.now();
    const so: Progress = { sent: null, reply: null, back: null };
    let error: string | null = null;
    try {
      await inTime(this.#carry(file, number, so));
    } catch (failure) {
      error = reasonOf(failure);
    }
    const milliseconds = Math.round(performance.now() - began);
    const peakMemory = {
      workerd: counted.workerd ? peakOf(pids.workerd) : null,
      gateway: counted.gateway ? peakOf(pids.gateway) : null,
    };
    if (error !== null) error = await this.#afterFailure(error, pids.workerd);
    const accepted = so.reply && so.reply.code < 300;
    const line: CorpusLine = {
      file,
      number,
      size: so.sent?.length ?? 0,
      accepted,
      reply: so.reply && formatReply(so.reply),
      octetsEqual: so.back && so.sent ? so.back.raw.equals(so.sent) : null,
      originOctets: so.sent && compareAtOrigin(so.sent, this.#origin.take(addressOf(number))),
      ...readBackFields(so.back),
      milliseconds,
      peakMemory,
      error,
    };
    return { line, reply: so.reply };
  }

  async stop(): Promise<void> {
    await this.#service.stop();
    await this.#origin.stop();
  }

  async #carry(file: string, number: number, so: Progress): Promise<void> {
    const { folder, crlf } = this.#options;
    const read = readFileSync(join(folder, file));
    const octets = crlf ? withCrlf(read) : read;
    so.sent = this.#options.by === "mx" ? withLastLineEnd(octets) : octets;
    // Each file has a sender of its own, so that none is taken for a repeat of another with the same octets.
    const envelope = { from: `file-${number}@sender.example`, to: addressOf(number) };
    so.reply = await this.#send(envelope, so.sent);
    if (so.reply.code < 300) so.back = await this.#reader.read(envelope.to);
  }

  /** There is no hand-over of more than a message may have: a gateway answers that itself, so its port is asked. */
  #send(envelope: { readonly from: string; readonly to: string }, octets: Buffer): Promise<Reply> {
    return this.#options.by === "mx" || octets.length > MAX_MESSAGE_BYTES
      ? sendBySmtp(this.#service.addresses.mx, envelope, octets)
      : handOver(this.#link, envelope, octets);
  }

  /** A workerd that died is waited for: the next message is to meet a service. @returns the error, with what is known of it */
  async #afterFailure(error: string, before: number | null): Promise<string> {
    const end = Date.now() + BACK_LIMIT;
    for (;;) {
      const healthy = await this.#isHealthy();
      if (healthy) break;
      if (Date.now() > end) return `${error}; the service does not answer any more`;
      await pause(STEP);
    }
    return running(this.#state, "workerd") === before ? error : `${error}; workerd died and was started again`;
  }

  async #isHealthy(): Promise<boolean> {
    try {
      const response = await fetch(new URL("/api/health", this.#service.addresses.http), {
        signal: AbortSignal.timeout(LOOK_LIMIT),
      });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      // Not there yet: asked again, until BACK_LIMIT.
      return false;
    }
  }
}

interface Progress {
  sent: Buffer | null;
  reply: Reply | null;
  back: ReadBack | null;
}

/** A tag for each file: the archive tells by it which message is which. */
function addressOf(number: number): string {
  return `reader+file-${number}@${DOMAIN}`;
}

async function inTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${MESSAGE_LIMIT / 1000} s`)), MESSAGE_LIMIT);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.message}${cause}`;
}
