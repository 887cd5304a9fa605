/** A conversation with an SMTP server after EHLO and, where needed, AUTH: one connection, many transactions. */
import type { Outcome, Phase, Refused, Reply, Unavailable } from "../../outcome.ts";
import type { Result } from "../../result.ts";
import { type Channel, type Failure, unavailable } from "./channel.ts";
import { type CommandError, mailCommand, rcptCommand } from "./command.ts";
import type { MailParameters, MessageWriter, OriginSession, Upcoming } from "./conversation.ts";
import { SmtpMessageWriter } from "./message-writer.ts";
import type { PhaseLimits } from "./phase-limits.ts";
import { outcomeOf } from "./reply.ts";

export class SmtpSession implements OriginSession {
  readonly extensions: ReadonlyMap<string, string>;
  readonly #channel: Channel;
  readonly #limits: PhaseLimits;
  /** MAIL was sent, and neither RSET nor an answer to the final dot came since. */
  #inTransaction = false;
  /** The group that went out behind a final dot, and whose replies nobody has read yet. */
  #announced: string | null = null;

  constructor(channel: Channel, extensions: ReadonlyMap<string, string>, limits: PhaseLimits) {
    this.#channel = channel;
    this.extensions = extensions;
    this.#limits = limits;
  }

  get usable(): boolean {
    return this.#channel.usable;
  }

  async mail(parameters: MailParameters): Promise<Outcome> {
    const line = mailCommand(parameters, this.extensions);
    if (!line.ok) return refusedByUs("mail", line.error);
    if (this.#inTransaction) {
      const reset = await this.reset();
      if (reset.kind !== "delivered") return reset;
    }
    this.#inTransaction = true;
    return this.#ask("mail", line.value, this.#limits.recipient);
  }

  async rcpt(to: string): Promise<Outcome> {
    const line = rcptCommand(to, this.extensions);
    return line.ok ? this.#ask("rcpt", line.value, this.#limits.recipient) : refusedByUs("rcpt", line.error);
  }

  async data(): Promise<MessageWriter | Refused | Unavailable> {
    return this.#dataReply(await this.#channel.ask("DATA", this.#limits.data));
  }

  async begin(parameters: MailParameters, to: string): Promise<MessageWriter | Refused | Unavailable> {
    const mailLine = mailCommand(parameters, this.extensions);
    if (!mailLine.ok) return refusedByUs("mail", mailLine.error);
    const rcptLine = rcptCommand(to, this.extensions);
    if (!rcptLine.ok) return refusedByUs("rcpt", rcptLine.error);
    if (this.extensions.has("PIPELINING")) return this.#pipelined(group(mailLine.value, rcptLine.value));
    const mail = await this.mail(parameters);
    if (mail.kind !== "delivered") return mail;
    const rcpt = await this.rcpt(to);
    return rcpt.kind === "delivered" ? this.data() : rcpt;
  }

  async reset(): Promise<Outcome> {
    const outcome = await this.#ask("reset", "RSET", this.#limits.command);
    if (outcome.kind === "delivered") this.#inTransaction = false;
    // Nobody knows then which recipients the next message would have.
    else this.#channel.fail({ reason: "protocol", detail: "RSET was not accepted" });
    return outcome;
  }

  noop(): Promise<Outcome> {
    return this.#ask("noop", "NOOP", this.#limits.command);
  }

  close(): void {
    // A QUIT would be taken for the text of the message that was announced.
    if (this.#announced === null) this.#channel.quit();
    else this.#channel.fail({ reason: "dropped", detail: "closed by us, with a message announced" });
  }

  /** RFC 2920 §3.1: one group, RSET, MAIL, RCPT, DATA, which has to be the last of it. Replies come in the same order. */
  async #pipelined(lines: string): Promise<MessageWriter | Refused | Unavailable> {
    const announced = this.#announced;
    this.#announced = null;
    if (announced === lines) return this.#groupReplies();
    if (announced !== null) {
      return unavailable("mail", this.#channel.fail(ANNOUNCED));
    }
    const reset = this.#inTransaction;
    this.#inTransaction = true;
    const failure = await this.#channel.command(reset ? `RSET\r\n${lines}` : lines, this.#limits.recipient);
    if (failure) return unavailable("mail", failure);
    if (reset) {
      const outcome = this.#judge("reset", await this.#channel.reply(this.#limits.command));
      if (outcome.kind !== "delivered") {
        this.#channel.fail({ reason: "protocol", detail: "RSET was not accepted" });
        return outcome.kind === "unavailable" ? outcome : unavailable("reset", { reason: "protocol" });
      }
    }
    return this.#groupReplies();
  }

  async #groupReplies(): Promise<MessageWriter | Refused | Unavailable> {
    const mail = this.#judge("mail", await this.#channel.reply(this.#limits.recipient));
    const rcpt = this.usable ? this.#judge("rcpt", await this.#channel.reply(this.#limits.recipient)) : null;
    const data = this.usable ? this.#dataReply(await this.#channel.reply(this.#limits.data)) : null;
    const refusal = mail.kind !== "delivered" ? mail : rcpt && rcpt.kind !== "delivered" ? rcpt : null;
    if (refusal === null) return data ?? unavailable("data", { reason: "dropped" });
    if (data && "write" in data) await this.#leaveData(data, rcpt);
    return refusal;
  }

  /**
   * RFC 2920 §3.1: the server takes a message although it took no recipient, so it gets an empty one that goes nowhere. Where
   * it did take a recipient (without a sender: a broken server), the empty message would arrive; there only hanging up is left.
   */
  async #leaveData(writer: MessageWriter, rcpt: Outcome | null): Promise<void> {
    if (rcpt?.kind === "delivered") writer.abort();
    // What comes of it changes nothing: the message's outcome is known, and a failure leaves the session unusable.
    else await writer.finish(this.#limits.data);
  }

  /** A message that we would refuse ourselves is not announced: `begin` says why. */
  #announce({ parameters, to }: Upcoming): Uint8Array | null {
    const mailLine = mailCommand(parameters, this.extensions);
    const rcptLine = rcptCommand(to, this.extensions);
    if (!mailLine.ok || !rcptLine.ok || !this.extensions.has("PIPELINING")) return null;
    this.#announced = group(mailLine.value, rcptLine.value);
    return new TextEncoder().encode(`${this.#announced}\r\n`);
  }

  async #ask(phase: Phase, line: string, limit: number): Promise<Outcome> {
    if (this.#announced !== null) return unavailable(phase, this.#channel.fail(ANNOUNCED));
    return this.#judge(phase, await this.#channel.ask(line, limit));
  }

  #judge(phase: Phase, reply: Result<Reply, Failure>): Outcome {
    if (!reply.ok) return unavailable(phase, reply.error);
    const outcome = outcomeOf(phase, reply.value);
    // A 3xx here would have the server wait for something that never comes.
    if (outcome.kind === "unavailable" && outcome.reason === "protocol") this.#channel.fail({ reason: "protocol" });
    return outcome;
  }

  #dataReply(reply: Result<Reply, Failure>): MessageWriter | Refused | Unavailable {
    if (reply.ok && reply.value.code === 354) {
      return new SmtpMessageWriter(this.#channel, this.#limits.write, {
        announce: (next) => this.#announce(next),
        ended: () => {
          this.#inTransaction = this.#announced !== null;
        },
      });
    }
    const outcome = this.#judge("data", reply);
    if (outcome.kind !== "delivered") return outcome;
    const failure = this.#channel.fail({ reason: "protocol", detail: "DATA was answered with 2xx" });
    return { ...unavailable("data", failure), reply: outcome.reply };
  }
}

/** The server may be waiting for the text of that message: only hanging up is left. */
const ANNOUNCED: Failure = { reason: "dropped", detail: "another message was announced" };

function group(mailLine: string, rcptLine: string): string {
  return [mailLine, rcptLine, "DATA"].join("\r\n");
}

/** Refusals of our own, in words that the sender understands. */
function refusedByUs(phase: "mail" | "rcpt", error: CommandError): Refused {
  const refused = (code: number, enhanced: string, text: string): Refused => ({
    kind: "refused",
    phase,
    reply: { code, enhanced, text },
  });
  switch (error.reason) {
    case "too_large":
      return refused(552, "5.3.4", `the message is larger than the ${error.max} octets that the mail server takes`);
    case "smtputf8_missing":
      return refused(550, "5.6.7", "the mail server takes no addresses with non-ASCII characters");
    case "unsafe_address":
      return refused(553, phase === "mail" ? "5.1.7" : "5.1.3", "the address is not valid");
    case "line_too_long":
      return refused(553, phase === "mail" ? "5.1.7" : "5.1.3", "the address is too long");
  }
}
