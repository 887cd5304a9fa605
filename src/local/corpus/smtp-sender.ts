/** A stranger that sends the octets of a file as they are: libraries would mend its line ends. */
import { connect, type Socket } from "node:net";
import type { Reply } from "../../core/outcome.ts";

/** Milliseconds for one reply: longer than the service may take for one (GATEWAY_FINAL_TIMEOUT). */
const REPLY_LIMIT = 70_000;
const DOT = 0x2e;
const CRLF = Buffer.from("\r\n");

/**
 * @param octets with the end of their last line
 * @returns the first refusal, or the reply to the final dot. @throws where the connection breaks or a reply takes too long
 */
export async function sendBySmtp(
  { host, port }: { readonly host: string; readonly port: number },
  envelope: { readonly from: string; readonly to: string },
  octets: Buffer,
): Promise<Reply> {
  const dialogue = new Dialogue(connect(port, host));
  try {
    await dialogue.reply();
    const commands = [
      "EHLO mail.sender.example",
      `MAIL FROM:<${envelope.from}> BODY=8BITMIME`,
      `RCPT TO:<${envelope.to}>`,
      "DATA",
    ];
    for (const command of commands) {
      dialogue.write(`${command}\r\n`);
      const reply = await dialogue.reply();
      if (reply.code >= 400) return reply;
    }
    dialogue.write(stuffed(octets));
    const reply = await dialogue.reply();
    dialogue.write("QUIT\r\n");
    return reply;
  } finally {
    dialogue.end();
  }
}

/** With doubled dots (RFC 5321 §4.5.2) and the final one. A line ends with CRLF and nothing else. */
function stuffed(octets: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  while (from < octets.length) {
    const end = octets.indexOf(CRLF, from);
    const to = end === -1 ? octets.length : end + 2;
    if (octets[from] === DOT) parts.push(Buffer.from("."));
    parts.push(octets.subarray(from, to));
    from = to;
  }
  return Buffer.concat([...parts, Buffer.from(".\r\n")]);
}

class Dialogue {
  readonly #socket: Socket;
  #text = "";
  #ended: Error | null = null;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (octets) => {
      this.#text += octets.toString("latin1");
      this.#wake();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the MX port closed the connection")));
  }

  write(octets: string | Buffer): void {
    this.#socket.write(octets);
  }

  async reply(): Promise<Reply> {
    const late = setTimeout(() => this.#fail(new Error("the MX port did not answer in time")), REPLY_LIMIT);
    try {
      for (;;) {
        const whole = /^(?:\d{3}-[^\n]*\n)*(\d{3})(?: (\d\.\d{1,3}\.\d{1,3}))? ?([^\n]*)\n/.exec(this.#text);
        if (whole) {
          this.#text = this.#text.slice(whole[0].length);
          const [, code, enhanced, text = ""] = whole;
          return { code: Number(code), ...(enhanced !== undefined && { enhanced }), text: text.trimEnd() };
        }
        if (this.#ended) throw this.#ended;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(late);
    }
  }

  end(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    this.#wake();
  }
}
