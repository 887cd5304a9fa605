/** A watcher's end of a WebSocket, for tests in workerd. */
import { expect, vi } from "vitest";
import {
  type ObjectFrame,
  PONG,
  readObjectFrame,
  type WatcherFrame,
  writePushFrame,
} from "../../../src/core/protocol/push/frames.ts";

export class TestWatcher {
  readonly #socket: WebSocket;
  readonly frames: ObjectFrame[] = [];
  pongs = 0;
  closed: { code: number; reason: string } | null = null;

  constructor(response: Response) {
    const socket = response.webSocket;
    if (!socket) throw new Error(`no WebSocket, but ${response.status}`);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      if (data === PONG) this.pongs++;
      else {
        const read = readObjectFrame(String(data));
        if (!read.ok) throw new Error(`the object said ${String(data)}: ${read.error}`);
        this.frames.push(read.value);
      }
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      if (socket.readyState !== WebSocket.CLOSED) socket.close(1000);
    });
    socket.accept();
  }

  say(frame: WatcherFrame): void {
    this.#socket.send(writePushFrame(frame));
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  close(): void {
    this.#socket.close(1000);
  }

  /** Waits until so many frames have come, and takes them. */
  async take(count: number): Promise<ObjectFrame[]> {
    await vi.waitFor(() => expect(this.frames.length).toBeGreaterThanOrEqual(count), { timeout: 20_000 });
    return this.frames.splice(0, count);
  }

  async end(): Promise<{ code: number; reason: string }> {
    await vi.waitFor(() => expect(this.closed).not.toBeNull(), { timeout: 20_000 });
    return this.closed ?? { code: 0, reason: "" };
  }
}
