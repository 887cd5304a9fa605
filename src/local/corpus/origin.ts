/** The organisation's own server of a corpus run: takes everything and keeps it until it was compared. */
import { SMTPServer } from "smtp-server";

const OURS =
  /^Received: from [^\r\n]*\r\n\tby [^\r\n]* \(Holdfast\) with [^\r\n]*\r\n\tfor <[^\r\n]*>; [^\r\n]*\r\nDelivered-To: [^\r\n]*\r\n/;

export class CorpusOrigin {
  readonly #server: SMTPServer;
  readonly #taken = new Map<string, Buffer>();

  private constructor() {
    this.#server = new SMTPServer({
      name: "mail.corpus.example",
      disabledCommands: ["AUTH", "STARTTLS"],
      disableReverseLookup: true,
      logger: false,
      onData: (stream, session, done) => {
        const parts: Buffer[] = [];
        stream.on("data", (part: Buffer) => parts.push(part));
        stream.on("end", () => {
          for (const { address } of session.envelope.rcptTo) this.#taken.set(address, Buffer.concat(parts));
          done(null, "2.0.0 Ok");
        });
      },
    });
    // A connection that breaks is the sender's to notice; the message is then not here, and the run says so.
    this.#server.on("error", (error) => console.error(`origin: ${error.message}`));
  }

  /** On loopback, on a free port. */
  static async start(): Promise<CorpusOrigin> {
    const origin = new CorpusOrigin();
    await new Promise<void>((resolve, reject) => {
      origin.#server.server.once("error", reject);
      origin.#server.listen(0, "127.0.0.1", () => resolve());
    });
    return origin;
  }

  get port(): number {
    const address = this.#server.server.address();
    if (typeof address !== "object" || !address) throw new Error("the origin does not listen");
    return address.port;
  }

  /**
   * Hands out what came for the address, once.
   * @returns null where nothing came; `ours` is false where not exactly our two fields lie on top
   */
  take(to: string): { readonly octets: Buffer; readonly ours: boolean } | null {
    const raw = this.#taken.get(to);
    this.#taken.delete(to);
    if (!raw) return null;
    const top = OURS.exec(raw.subarray(0, 4096).toString("latin1"))?.[0].length ?? 0;
    return { octets: raw.subarray(top), ours: top > 0 };
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
