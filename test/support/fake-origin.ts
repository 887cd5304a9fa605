/**
 * A scriptable SMTP server on raw sockets: each reply, delay, silence and hang-up is the test's to choose, and what came is
 * recorded octet for octet.
 */

import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import type { Behaviour, OriginReport, RecordedMessage, Step, StepDetail, Verb } from "./origin-behaviour.ts";
import { serveConnection } from "./origin-connection.ts";

export class FakeOrigin {
  readonly #host: string;
  #server: Server | null = null;
  #port = 0;
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  readonly #messages: RecordedMessage[] = [];
  readonly #transcript: string[] = [];
  readonly #violations: string[] = [];
  #waiting: (() => void)[] = [];
  #connections = 0;
  #peak = 0;
  behaviour: Behaviour;

  constructor(behaviour: Behaviour = {}, host = "127.0.0.1") {
    this.behaviour = behaviour;
    this.#host = host;
  }

  get port(): number {
    return this.#port;
  }

  /** Listens; after a stop on the same port as before. */
  async start(): Promise<number> {
    const server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, this.#host, resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    return this.#port;
  }

  /** Closes the port and cuts every connection, as a killed process would. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Takes another behaviour, for open connections too; counters of step lists start anew. */
  set(behaviour: Behaviour): void {
    this.behaviour = behaviour;
    this.#counts.clear();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** What it took so far is not reported any more. */
  forget(): void {
    this.#messages.length = 0;
    this.#transcript.length = 0;
  }

  report(): OriginReport {
    return {
      messages: [...this.#messages],
      transcript: [...this.#transcript],
      connections: this.#connections,
      peak: this.#peak,
      open: this.#sockets.size,
      violations: [...this.#violations],
    };
  }

  #accept(socket: Socket): void {
    const number = ++this.#connections;
    this.#sockets.add(socket);
    this.#peak = Math.max(this.#peak, this.#sockets.size);
    socket.once("close", () => this.#sockets.delete(socket));
    // A reset by the client is one of the things under test, not an error of this server's.
    socket.on("error", () => socket.destroy());
    serveConnection(socket, {
      number,
      behaviour: () => this.behaviour,
      step: (verb, address) => this.#step(verb, address),
      changed: () => new Promise((resolve) => this.#waiting.push(resolve)),
      message: (message) => this.#messages.push(message),
      line: (line) => this.#transcript.push(line),
      violation: (text) => this.#violations.push(text),
    });
  }

  #step(verb: Verb, address?: string): StepDetail {
    const own = address === undefined ? undefined : this.behaviour.recipients?.[address];
    const steps = own ?? this.behaviour.steps?.[verb];
    if (steps === undefined) return {};
    if (!isList(steps)) return detail(steps);
    const key = own === undefined ? verb : `${verb} ${address}`;
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    return detail(steps[Math.min(count, steps.length - 1)] ?? {});
  }
}

function isList(steps: Step | readonly (Step | null)[]): steps is readonly (Step | null)[] {
  return Array.isArray(steps);
}

function detail(step: Step): StepDetail {
  return typeof step === "string" ? { reply: step } : step;
}
