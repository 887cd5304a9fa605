/**
 * A watch as server-sent events (HTML, "Server-sent events"), held by the stateless Worker: for the API's streams, and for JMAP's
 * (RFC 8620 §7.3). It ends by itself before anybody else ends it; its reader opens it again and catches up by Last-Event-ID.
 */

import { type ObjectFrame, PING, PONG, readObjectFrame } from "../../core/protocol/push/frames.ts";
import { KnownState } from "../../core/protocol/push/known.ts";
import {
  EVENT_STREAM_BUFFER,
  EVENT_STREAM_RETRY,
  EVENT_STREAM_TIME,
  WATCH_PING,
  WATCH_SILENCE,
} from "../../core/protocol/push/limits.ts";
import type { Env } from "../env.ts";
import { openWatch, type Watch, type WatchRefusal } from "./watch.ts";

export interface ServerSentEvent {
  /** Absent: `message`. */
  readonly event?: string;
  /** One line. */
  readonly data: string;
  readonly id?: string;
}

export interface StreamOptions {
  /** What is said of a frame, null: nothing. `changed` frames come only where they are news. */
  readonly say: (frame: ObjectFrame) => ServerSentEvent | null;
  /** Ends after the first event that says something (RFC 8620 §7.3, closeafter=state). */
  readonly once?: boolean;
  /** A ping of the reader's own, beside the comments that keep the way open. */
  readonly ping?: { readonly milliseconds: number; readonly event: ServerSentEvent };
}

/** @returns the answer, whose body goes on; or why there is none */
export async function eventStream(
  env: Env,
  domain: string,
  watch: Exclude<Watch, { kind: "gateway" }>,
  options: StreamOptions,
): Promise<Response | WatchRefusal> {
  const opened = await openWatch(env, domain, watch);
  if (typeof opened === "string") return opened;
  const socket = opened.webSocket;
  if (!socket) return "failed";
  const events = new EventStream(socket, new KnownState(watch.kind === "account" ? watch.since : null), options);
  return new Response(events.body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      // Proxies that gather an answer before they hand it on are told not to.
      "x-accel-buffering": "no",
    },
  });
}

class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #socket: WebSocket;
  readonly #known: KnownState;
  readonly #options: StreamOptions;
  readonly #encoder = new TextEncoder();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** When the object's last word came, unix milliseconds. */
  #heardAt = Date.now();

  constructor(socket: WebSocket, known: KnownState, options: StreamOptions) {
    this.#socket = socket;
    this.#known = known;
    this.#options = options;
    this.body = new ReadableStream<Uint8Array>(
      { start: (controller) => this.#begin(controller), cancel: () => this.#end() },
      { highWaterMark: EVENT_STREAM_BUFFER, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  #begin(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    this.#write(`retry: ${EVENT_STREAM_RETRY}\n\n`);
    this.#socket.addEventListener("message", ({ data }) => this.#hear(String(data)));
    this.#socket.addEventListener("close", () => this.#end());
    this.#socket.addEventListener("error", () => this.#end());
    this.#socket.accept();
    this.#socket.send(PING);
    const { ping } = this.#options;
    this.#timers.push(
      setInterval(() => this.#beat(), WATCH_PING),
      setTimeout(() => this.#end(), EVENT_STREAM_TIME),
    );
    if (ping) this.#timers.push(setInterval(() => this.#say(ping.event), ping.milliseconds));
  }

  #hear(text: string): void {
    this.#heardAt = Date.now();
    if (text === PONG) return;
    const read = readObjectFrame(text);
    if (!read.ok) {
      console.error("the domain's object said something unexpected:", read.error);
      this.#end();
      return;
    }
    const frame = read.value;
    if (frame.op === "changed" && !this.#known.hear(frame.seq)) return;
    const event = this.#options.say(frame);
    if (event) this.#say(event);
    if (frame.op === "ended" || (event && this.#options.once)) this.#end();
  }

  /** A comment for the reader, and a ping for the object: an object that does not answer is left. */
  #beat(): void {
    if (Date.now() - this.#heardAt > WATCH_SILENCE) this.#end();
    else this.#write(": ping\n\n");
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(PING);
  }

  #say({ event, data, id }: ServerSentEvent): void {
    const fields = [...(event ? [`event: ${event}`] : []), ...(id === undefined ? [] : [`id: ${id}`]), `data: ${data}`];
    this.#write(`${fields.join("\n")}\n\n`);
  }

  /** A reader that does not read is left: what it has not taken would be kept here. */
  #write(text: string): void {
    const controller = this.#controller;
    if (!controller) return;
    if ((controller.desiredSize ?? 0) > 0) controller.enqueue(this.#encoder.encode(text));
    else this.#end();
  }

  /** Idempotent. What was written is read still. */
  #end(): void {
    const controller = this.#controller;
    if (!controller) return;
    this.#controller = null;
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(1000, "done");
    try {
      controller.close();
    } catch (error) {
      // Its reader has gone and taken the stream along.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
