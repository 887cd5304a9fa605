/** One connection of a fake origin. Commands are answered strictly in order; the message is read by octets. */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createSecureContext, TLSSocket } from "node:tls";
import { testCertificate } from "./authority.ts";
import type { Behaviour, RecordedMessage, StepDetail, Verb } from "./origin-behaviour.ts";

export interface ConnectionHost {
  readonly number: number;
  behaviour(): Behaviour;
  step(verb: Verb, address?: string): StepDetail;
  /** Resolves when another behaviour is set. */
  changed(): Promise<void>;
  message(message: RecordedMessage): void;
  line(line: string): void;
  violation(text: string): void;
}

const ORDINARY = ["PIPELINING", "SIZE 26214400", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
const TERMINATOR = Buffer.from("\r\n.\r\n");

export function serveConnection(socket: Socket, host: ConnectionHost): void {
  const connection = new Connection(socket, host);
  // What a broken connection throws ends this connection only.
  connection.serve().catch(() => socket.destroy());
}

class Connection {
  #stream: Socket;
  readonly #host: ConnectionHost;
  #input: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  #wake: (() => void) | null = null;
  #ended = false;
  #secure = false;
  #authenticated = false;
  #from: string | null = null;
  #mailCommand = "";
  #to: string[] = [];

  constructor(socket: Socket, host: ConnectionHost) {
    this.#stream = socket;
    this.#host = host;
  }

  async serve(): Promise<void> {
    if (this.#host.behaviour().tls === "implicit") await this.#handshake();
    else this.#listen();
    if (!(await this.#answer("greeting", "220 origin.test ESMTP"))) return;
    for (;;) {
      const line = await this.#line();
      if (line === null || !(await this.#command(line))) return;
    }
  }

  #listen(): void {
    this.#stream.on("data", (chunk: Buffer) => {
      this.#input = Buffer.concat([this.#input, chunk]);
      this.#wake?.();
    });
    for (const event of ["end", "close", "error"]) {
      this.#stream.on(event, () => {
        this.#ended = true;
        this.#wake?.();
      });
    }
  }

  async #handshake(): Promise<void> {
    const plain = this.#stream;
    plain.removeAllListeners("data");
    const secureContext = createSecureContext(testCertificate(this.#host.behaviour().certificate ?? "trusted"));
    const secure = new TLSSocket(plain, { isServer: true, secureContext });
    await new Promise<void>((resolve, reject) => {
      secure.once("secure", resolve);
      secure.once("error", reject);
      secure.once("close", () => reject(new Error("closed in the handshake")));
    });
    this.#stream = secure;
    this.#secure = true;
    this.#input = Buffer.alloc(0);
    this.#listen();
  }

  /** Waits for more input. @returns false at the end of the connection */
  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
    return true;
  }

  async #line(): Promise<string | null> {
    let end = this.#input.indexOf("\r\n");
    while (end < 0) {
      if (!(await this.#more())) return null;
      end = this.#input.indexOf("\r\n");
    }
    const line = this.#input.subarray(0, end).toString("utf8");
    this.#input = this.#input.subarray(end + 2);
    this.#host.line(`C: ${line}`);
    return line;
  }

  /** @returns false where the conversation ends here */
  async #command(line: string): Promise<boolean> {
    const verb = (line.split(" ", 1)[0] ?? "").toUpperCase();
    this.#checkPipelining(verb);
    switch (verb) {
      case "EHLO":
        return this.#answer("ehlo", this.#ehlo());
      case "HELO":
        return this.#answer("helo", "250 origin.test");
      case "STARTTLS":
        return this.#startTls();
      case "AUTH":
        return this.#auth(line);
      case "MAIL":
        return this.#mail(line);
      case "RCPT": {
        const address = pathOf(line);
        const ordinary = this.#from === null ? "503 5.5.1 MAIL first" : "250 2.1.5 recipient taken";
        return this.#answer("rcpt", ordinary, address, () => this.#to.push(address));
      }
      case "DATA":
        return this.#data();
      case "RSET":
        return this.#answer("rset", "250 2.0.0 reset", undefined, () => this.#forget());
      case "NOOP":
        return this.#answer("noop", "250 2.0.0 nothing done");
      case "QUIT":
        await this.#answer("quit", "221 2.0.0 bye");
        this.#stream.end();
        return false;
      default:
        return this.#write("500 5.5.2 unknown command\r\n", {});
    }
  }

  #ehlo(): string {
    const behaviour = this.#host.behaviour();
    const lines = ["origin.test greets you", ...(behaviour.extensions ?? ORDINARY)];
    if (behaviour.tls === "starttls" && !this.#secure) lines.push("STARTTLS");
    if (behaviour.user) lines.push(`AUTH ${behaviour.user.mechanisms ?? "PLAIN LOGIN"}`);
    return lines.map((line, index) => `250${index === lines.length - 1 ? " " : "-"}${line}`).join("\n");
  }

  /** RFC 2920 §3.1: only where announced, and never behind EHLO, DATA, QUIT, STARTTLS or AUTH. */
  #checkPipelining(verb: string): void {
    if (this.#input.length === 0) return;
    const announced = (this.#host.behaviour().extensions ?? ORDINARY).includes("PIPELINING");
    if (!announced || !["MAIL", "RCPT", "RSET", "NOOP"].includes(verb)) {
      this.#host.violation(`${this.#input.length} octets were sent ahead behind ${verb}`);
    }
  }

  async #startTls(): Promise<boolean> {
    const step = this.#host.step("starttls");
    if (!(await this.#perform(step, "220 2.0.0 ready"))) return false;
    if (step.reply !== undefined && !step.reply.startsWith("2")) return true;
    if (step.garbage !== undefined) {
      this.#stream.write(step.garbage);
      return true;
    }
    await this.#handshake();
    return true;
  }

  async #auth(line: string): Promise<boolean> {
    const user = this.#host.behaviour().user;
    const [, mechanism = "", initial] = line.split(" ");
    const given: string[] = [];
    if (initial !== undefined && initial !== "=") given.push(initial);
    const prompts = mechanism.toUpperCase() === "LOGIN" ? ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"] : [""];
    while (given.length < prompts.length) {
      if (!(await this.#write(`334 ${prompts[given.length]}\r\n`, {}))) return false;
      const answer = await this.#line();
      if (answer === null) return false;
      given.push(answer);
    }
    const decoded = given.map((part) => Buffer.from(part, "base64").toString("utf8")).join("\0");
    const expected = `${user?.name}\0${user?.password}`;
    const good = mechanism.toUpperCase() === "LOGIN" ? decoded === expected : decoded === `\0${expected}`;
    return this.#answer("auth", good ? "235 2.7.0 welcome" : "535 5.7.8 wrong", undefined, () => {
      this.#authenticated = true;
    });
  }

  #mail(line: string): Promise<boolean> {
    const needsAuth = this.#host.behaviour().user !== undefined && !this.#authenticated;
    const ordinary = needsAuth ? "530 5.7.0 authentication required" : "250 2.1.0 sender taken";
    return this.#answer("mail", this.#from === null ? ordinary : "503 5.5.1 nested MAIL", undefined, () => {
      this.#from = pathOf(line);
      this.#mailCommand = line;
    });
  }

  async #data(): Promise<boolean> {
    let begun = false;
    const ordinary = this.#to.length > 0 ? "354 end with a dot" : "554 5.5.1 no valid recipients";
    if (
      !(await this.#answer(
        "data",
        ordinary,
        undefined,
        () => {},
        () => (begun = true),
      ))
    )
      return false;
    return begun ? this.#message() : true;
  }

  async #message(): Promise<boolean> {
    const { stopReadingAfter, cutAfter } = this.#host.behaviour();
    // The line end of DATA counts as the one in front of a dot that comes first (RFC 5321 §4.1.1.4).
    const pieces: Buffer[] = [Buffer.from("\r\n")];
    let length = 2;
    // The last octets taken: the terminator may be cut anywhere.
    let tail = Buffer.from("\r\n");
    for (;;) {
      const before = tail.length;
      const searched = Buffer.concat([tail, this.#input]);
      const end = searched.indexOf(TERMINATOR);
      if (end >= 0) {
        const taken = Math.max(0, end + 2 - before);
        pieces.push(this.#input.subarray(0, taken));
        length += end + 2 - before;
        this.#input = searched.subarray(end + TERMINATOR.length);
        break;
      }
      pieces.push(this.#input);
      length += this.#input.length;
      tail = searched.subarray(Math.max(0, searched.length - TERMINATOR.length + 1));
      this.#input = Buffer.alloc(0);
      if (stopReadingAfter !== undefined && length > stopReadingAfter) this.#stream.pause();
      if (cutAfter && length > cutAfter.octets) {
        if (cutAfter.reply) await this.#write(`${cutAfter.reply}\r\n`, {});
        this.#stream.end();
        return false;
      }
      if (!(await this.#more()) && this.#input.length === 0) return false;
    }
    const octets = Buffer.concat(pieces).subarray(0, length);
    this.#host.line("C: (message) .");
    const raw = unstuff(octets).toString("base64");
    const message = {
      connection: this.#host.number,
      from: this.#from ?? "",
      to: this.#to,
      mailCommand: this.#mailCommand,
      raw,
    };
    let step = this.#host.step("final");
    while (step.held) {
      await this.#host.changed();
      step = this.#host.step("final");
    }
    // Recorded before the reply goes out: whoever hears the reply finds the message here.
    this.#host.message({
      ...message,
      accepted: step.taken === true || (!step.silent && (step.reply ?? (step.drop ? "" : "250")).startsWith("2")),
    });
    this.#forget();
    return this.#perform(step, "250 2.0.0 queued");
  }

  #forget(): void {
    this.#from = null;
    this.#to = [];
  }

  async #answer(
    verb: Verb,
    ordinary: string,
    address?: string,
    accepted?: () => void,
    begun?: () => void,
  ): Promise<boolean> {
    const step = this.#host.step(verb, address);
    const code = (step.reply ?? ordinary).slice(0, 1);
    if (!(await this.#perform(step, ordinary))) return false;
    if (code === "2") accepted?.();
    if (code === "3") begun?.();
    return true;
  }

  async #perform(step: StepDetail, ordinary: string): Promise<boolean> {
    if (step.delay) await sleep(step.delay);
    if (step.silent) {
      while (await this.#more());
      return false;
    }
    if (step.drop && step.reply === undefined) {
      this.#host.line("S: (hangs up)");
      this.#stream.destroy();
      return false;
    }
    const text = `${(step.reply ?? ordinary).replaceAll("\n", "\r\n")}\r\n${step.trailing ?? ""}`;
    if (!(await this.#write(text, step))) return false;
    if (step.drop) {
      this.#host.line("S: (hangs up)");
      this.#stream.end();
      return false;
    }
    return true;
  }

  async #write(text: string, step: StepDetail): Promise<boolean> {
    for (const line of text.split("\r\n")) if (line) this.#host.line(`S: ${line}`);
    if (!step.octetEvery) {
      this.#stream.write(text);
      return !this.#ended;
    }
    for (const octet of Buffer.from(text)) {
      await sleep(step.octetEvery);
      if (this.#ended) return false;
      this.#stream.write(Buffer.of(octet));
    }
    return true;
  }
}

function pathOf(line: string): string {
  return /<([^>]*)>/.exec(line)?.[1] ?? "";
}

/** RFC 5321 §4.5.2, the receiver's side. @param octets begin with a line end, which is left out of the result */
function unstuff(octets: Buffer): Buffer {
  const out = Buffer.alloc(octets.length);
  let length = 0;
  for (let at = 2; at < octets.length; at++) {
    const stuffed = octets[at] === 0x2e && octets[at - 1] === 0x0a && octets[at - 2] === 0x0d;
    if (!stuffed) out[length++] = octets[at] ?? 0;
  }
  return out.subarray(0, length);
}
