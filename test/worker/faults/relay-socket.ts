/**
 * Stands between the Worker and a gateway's relay port: opening the WebSocket of a connection, and each frame on it, is a
 * call that can fail. It has taken effect when its answer is here; that answer is then not heard any more.
 */
import { type Fault, InjectedFault, strikes } from "./injector.ts";

/** What an answer to a frame of the Worker's is told by. */
type IsAnswer = (heard: string | ArrayBuffer) => boolean;

interface Frame {
  readonly name: string;
  /** Null: nothing answers it. */
  readonly answer: IsAnswer | null;
}

const VERBS = new Set([".", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "QUIT"]);
const decoder = new TextDecoder();

const isOctets: IsAnswer = (heard) => typeof heard !== "string";
const isReport =
  (...ops: readonly string[]): IsAnswer =>
  (heard) =>
    typeof heard === "string" && ops.includes((JSON.parse(heard) as { op: string }).op);

function frameOf(sent: string | Uint8Array): Frame {
  if (typeof sent === "string") {
    const { op } = JSON.parse(sent) as { op: string };
    const answer = op === "ack" ? null : isReport(op === "connect" ? "connected" : "secured", "failed");
    return { name: `relay: ${op}`, answer };
  }
  const lines = decoder.decode(sent).split("\r\n");
  const verbs = lines.map((line) => line.split(" ")[0] ?? "").filter((word) => VERBS.has(word));
  if (!VERBS.has(lines[0]?.split(" ")[0] ?? "")) return { name: "relay: octets of a message", answer: null };
  return { name: `relay: octets ${verbs.join(" ")}`, answer: isOctets };
}

type Event = { readonly data: string | ArrayBuffer } | { readonly code: number };
type Listener = (event: Event) => void;

/** What src/worker/deliver/tunnel.ts uses of a WebSocket. */
class RelaySocket {
  readonly #socket: WebSocket;
  readonly #listeners = new Map<string, Listener[]>();
  #state: "well" | "broken" | "silent" = "well";
  /** A frame was sent whose answer is not to be heard. */
  #lost: { readonly answer: IsAnswer; readonly kind: Fault } | null = null;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#hear(data as string | ArrayBuffer));
    socket.addEventListener("close", ({ code }) => this.#emit("close", { code }));
    socket.addEventListener("error", () => this.#emit("error", { code: 1006 }));
  }

  set binaryType(type: "blob" | "arraybuffer") {
    this.#socket.binaryType = type;
  }

  get readyState(): number {
    return this.#socket.readyState;
  }

  accept(): void {
    this.#socket.accept();
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  send(sent: string | Uint8Array): void {
    if (this.#state !== "well") return;
    const { name, answer } = frameOf(sent);
    const kind = strikes(name);
    const lost = kind === "after" || kind === "neverAfter";
    if (kind === null || lost) this.#socket.send(sent);
    if (lost && answer) this.#lost = { answer, kind };
    else if (kind) this.#fail(kind);
  }

  close(code?: number): void {
    this.#socket.close(code);
  }

  #hear(data: string | ArrayBuffer): void {
    if (this.#state !== "well") return;
    if (this.#lost?.answer(data)) this.#fail(this.#lost.kind);
    else this.#emit("message", { data });
  }

  #fail(kind: Fault): void {
    this.#state = kind === "before" || kind === "after" ? "broken" : "silent";
    if (this.#state === "silent") return;
    this.#socket.close(1011);
    // Whoever sends is not interrupted: the end is heard like everything else.
    queueMicrotask(() => this.#emit("close", { code: 1006 }));
  }

  #emit(type: string, event: Event): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }
}

/** The upgrade, and what was upgraded. */
async function relayed(open: () => Promise<Response>): Promise<Response> {
  const kind = strikes("relay: opening the WebSocket");
  const answer = kind === "before" || kind === "never" ? null : await open();
  if (kind) {
    // Cut where nobody at this end knows of it.
    answer?.webSocket?.accept();
    answer?.webSocket?.close(1011);
    if (kind === "before" || kind === "after") throw new InjectedFault("the gateway cannot be reached");
    return new Promise<never>(() => undefined);
  }
  if (!answer?.webSocket) throw new Error(`no WebSocket but ${answer?.status}`);
  const webSocket = new RelaySocket(answer.webSocket);
  return new Proxy(answer, {
    get: (target, name) => (name === "webSocket" ? webSocket : Reflect.get(target, name, target)),
  });
}

const fetchReally = globalThis.fetch;

Object.defineProperty(globalThis, "fetch", {
  configurable: true,
  writable: true,
  value: (input: RequestInfo | URL, init?: RequestInit) => {
    const open = () => fetchReally(input, init);
    const isUpgrade = new Headers(init?.headers).get("upgrade") === "websocket";
    return isUpgrade ? relayed(open) : open();
  },
});
