/** Fake origins for tests in workerd: opened on demand by the control server of test/support. */
import { inject } from "vitest";
import type { Behaviour, OriginReport, RecordedMessage } from "../support/origin-behaviour.ts";

/** A message as an origin took it. */
export interface TakenMessage extends Omit<RecordedMessage, "raw"> {
  readonly raw: Uint8Array<ArrayBuffer>;
}

export interface Origin {
  /** On 127.0.0.1; the certificate, where there is one, is for `localhost` and 127.0.0.1. */
  readonly port: number;
  /** All whose final dot arrived, oldest first. */
  messages(): Promise<TakenMessage[]>;
  report(): Promise<OriginReport>;
  /** Another behaviour from now on; counters of step lists start anew. */
  set(behaviour: Behaviour): Promise<void>;
  /** Closes the port and cuts every connection, as a killed process would. */
  stop(): Promise<void>;
  /** Listens again on the same port. */
  start(): Promise<void>;
  /** What it took so far is not among its messages any more. */
  forget(): Promise<void>;
  /** Stops and forgets it. */
  close(): Promise<void>;
}

export async function createOrigin(behaviour: Behaviour = {}): Promise<Origin> {
  const { id, port } = await call<{ id: string; port: number }>("POST", "/", behaviour);
  const path = `/${id}`;
  return {
    port,
    report: () => call("GET", path),
    async messages() {
      const { messages } = await call<OriginReport>("GET", path);
      return messages.map((message) => ({
        ...message,
        raw: decode(message.raw),
      }));
    },
    async set(next) {
      await call("PUT", path, next);
    },
    async stop() {
      await call("POST", `${path}/stop`);
    },
    async start() {
      await call("POST", `${path}/start`);
    },
    async forget() {
      await call("POST", `${path}/forget`);
    },
    async close() {
      await call("DELETE", path);
    },
  };
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const octets = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) octets[at] = binary.charCodeAt(at);
  return octets;
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const url = `http://127.0.0.1:${inject("originControlPort")}${path}`;
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json<T>();
}
