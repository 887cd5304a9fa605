/** The frames of a WebSocket, one after another, to be waited for. */
import { GATEWAY_WINDOW } from "../../../core/limits.ts";
import { MAX_TEXT_FRAME } from "../../../core/protocol/gateway/frames.ts";

export type Frame = { readonly text: string } | { readonly octets: Uint8Array };

/** The octets' window and what may come before them; more in memory would be a gateway that does not wait. */
const MAX_WAITING = GATEWAY_WINDOW + 4;

export class Inbox {
  readonly #frames: Frame[] = [];
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(socket: WebSocket) {
    const close = () => {
      this.#closed = true;
      this.#wake?.();
    };
    socket.addEventListener("message", ({ data }) => {
      if (this.#frames.length >= MAX_WAITING) {
        this.#frames.length = 0;
        close();
        socket.close(1002, "more frames than the window allows");
      }
      if (this.#closed) return;
      if (typeof data === "string") this.#frames.push({ text: data.slice(0, MAX_TEXT_FRAME + 1) });
      else this.#frames.push({ octets: new Uint8Array(data as ArrayBuffer) });
      this.#wake?.();
    });
    socket.addEventListener("close", close);
    socket.addEventListener("error", close);
  }

  /** @returns null when the other side is gone or says nothing for so many milliseconds */
  async next(timeout: number): Promise<Frame | null> {
    const frame = this.#frames.shift();
    if (frame || this.#closed) return frame ?? null;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
    return this.#frames.shift() ?? null;
  }
}
