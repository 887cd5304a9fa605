/** The SMTP client's wire over `cloudflare:sockets`. */
import { connect } from "cloudflare:sockets";
import { type Timing, type Wire, within } from "../../core/protocol/smtp/wire.ts";
import { err, ok, type Result } from "../../core/result.ts";

/** Time as workerd has it: the clock moves with each event from outside, which is all that a wait for one needs. */
export const timing: Timing = {
  now: () => Date.now(),
  after(milliseconds, fire) {
    const timer = setTimeout(fire, milliseconds);
    return () => clearTimeout(timer);
  },
};

export interface ConnectFailure {
  readonly reason: "no_connection" | "timeout";
  readonly detail: string;
}

/**
 * Opens a TCP connection. It is always opened in clear text and TLS begins with `startTls`, implicit TLS too: opened with TLS
 * at once, workerd has one message for a closed port and for a bad certificate, and an administrator needs to know which.
 * @param limit milliseconds
 */
export async function connectWire(host: string, port: number, limit: number): Promise<Result<Wire, ConnectFailure>> {
  let socket: Socket;
  try {
    socket = connect({ hostname: host, port }, { secureTransport: "starttls", allowHalfOpen: false });
  } catch (error) {
    // An address that workerd does not even try, such as port 25.
    return err({ reason: "no_connection", detail: message(error) });
  }
  quiet(socket);
  const opened = await within(timing, limit, socket.opened);
  if (opened.kind === "done") return ok(new SocketWire(socket));
  // A close() before it opened would hang as long as the connecting does: it is not waited for.
  shut(socket);
  if (opened.kind === "timeout") return err({ reason: "timeout", detail: `no connection within ${limit} ms` });
  return err({ reason: "no_connection", detail: message(opened.error) });
}

class SocketWire implements Wire {
  #socket: Socket;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
  }

  async read(): Promise<Uint8Array | null> {
    const { value, done } = await this.#reader.read();
    return done ? null : value;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes);
  }

  async startTls(): Promise<void> {
    this.#reader.releaseLock();
    this.#writer.releaseLock();
    const secure = this.#socket.startTls();
    quiet(secure);
    this.#socket = secure;
    this.#reader = secure.readable.getReader();
    this.#writer = secure.writable.getWriter();
    await secure.opened;
  }

  close(): void {
    shut(this.#socket);
  }
}

/** A connection that breaks shows in the read or write under way; `closed` and `opened` tell the same once more, to nobody. */
function quiet(socket: Socket): void {
  socket.closed.catch(() => undefined);
  socket.opened.catch(() => undefined);
}

function shut(socket: Socket): void {
  // It is given up: whether closing it works changes nothing for anybody.
  socket.close().catch(() => undefined);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
