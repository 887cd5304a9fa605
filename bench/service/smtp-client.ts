/** A sender that keeps its connection: many messages over each, as a large one does. */
import SMTPConnection from "nodemailer/lib/smtp-connection";

export interface Envelope {
  readonly from: string;
  readonly to: string;
}

const SOCKET_LIMIT_MS = 120_000;

export class SmtpClient {
  readonly #connection: SMTPConnection;

  private constructor(connection: SMTPConnection) {
    this.#connection = connection;
  }

  static connect(host: string, port: number): Promise<SmtpClient> {
    return new Promise((resolve, reject) => {
      const connection = new SMTPConnection({
        host,
        port,
        ignoreTLS: true,
        name: "mail.example.net",
        socketTimeout: SOCKET_LIMIT_MS,
      });
      connection.once("error", reject);
      connection.connect(() => {
        // What breaks later shows in the message under way.
        connection.off("error", reject);
        connection.on("error", () => undefined);
        resolve(new SmtpClient(connection));
      });
    });
  }

  /** @throws where it is not accepted */
  send({ from, to }: Envelope, octets: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.send({ from, to: [to], use8BitMime: true }, octets, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  close(): void {
    this.#connection.quit();
  }
}

/** All of them, over so many connections. @throws where one is not accepted @returns milliseconds */
export async function sendAll<T extends Envelope & { readonly octets: Buffer }>(
  { host, port }: { readonly host: string; readonly port: number },
  connections: number,
  messages: readonly T[],
  sent: (count: number) => void,
): Promise<number> {
  const queue = [...messages];
  let count = 0;
  const clients = await Promise.all(Array.from({ length: connections }, () => SmtpClient.connect(host, port)));
  const began = performance.now();
  try {
    await Promise.all(
      clients.map(async (client) => {
        for (let message = queue.shift(); message; message = queue.shift()) {
          await client.send(message, message.octets);
          count++;
          sent(count);
        }
      }),
    );
  } finally {
    for (const client of clients) client.close();
  }
  return performance.now() - began;
}
