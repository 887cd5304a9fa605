/** What the Worker's isolate holds, by V8's own count: its heap and the buffers beside it. */
import { setTimeout as pause } from "node:timers/promises";
import { WebSocket } from "ws";

interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize?: number;
}

export class IsolateHeap {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => {
      const { id, result } = JSON.parse(data.toString()) as { id?: number; result?: unknown };
      if (id === undefined) return;
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  /** @param inspector of Miniflare, `ws://127.0.0.1:…` */
  static async connect(inspector: URL): Promise<IsolateHeap> {
    const list = new URL("/json", inspector);
    list.protocol = "http:";
    const targets = (await (await fetch(list)).json()) as { webSocketDebuggerUrl: string }[];
    const [target] = targets;
    if (!target) throw new Error("the inspector names no Worker");
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return new IsolateHeap(socket);
  }

  /** Octets that are in use once what nobody needs is gone. */
  async live(): Promise<number> {
    await this.#call("HeapProfiler.collectGarbage");
    const { usedSize, backingStorageSize = 0 } = (await this.#call("Runtime.getHeapUsage")) as HeapUsage;
    return usedSize + backingStorageSize;
  }

  /** The most that `live` says while the work goes on, looked at again and again, and how often that was. */
  async peakDuring(work: Promise<unknown>): Promise<{ readonly peak: number; readonly looks: number }> {
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    let peak = 0;
    let looks = 0;
    while (!done) {
      peak = Math.max(peak, await this.live());
      looks++;
      await pause(20);
    }
    await ended;
    return { peak, looks };
  }

  close(): void {
    this.#socket.close();
  }

  #call(method: string): Promise<unknown> {
    const id = ++this.#id;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method }));
    });
  }
}
