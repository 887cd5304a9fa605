/** The MX port: SMTP from strangers. No mailbox, no queue, no decision: each transaction is the Worker's. */
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import {
  GATEWAY_MEMORY_BYTES,
  MAX_MESSAGE_BYTES,
  MX_BARE_LINE_PAUSE,
  MX_COMMAND_BYTES,
  MX_CONNECTIONS,
  MX_CONNECTIONS_PER_ADDRESS,
  MX_IDLE_TIMEOUT,
  MX_MESSAGE_TIMEOUT,
} from "../core/limits.ts";
import type { Reply } from "../core/outcome.ts";
import { BareLines } from "../core/protocol/smtp/bare-lines.ts";
import type { Configuration } from "./configuration.ts";
import { type Connection, ExactReplies } from "./replies.ts";
import { WorkerTransaction, WorkerUnavailableError } from "./transaction.ts";

export interface MxPort {
  readonly host: string;
  readonly port: number;
  /** No new connections; those there are may end, at most 10 s. */
  close(): Promise<void>;
}

interface Open {
  readonly transaction: WorkerTransaction;
  /** smtp-server makes a new one for each transaction: with it a RSET is noticed. */
  readonly envelope: object;
}

type Done = (error?: Error | null, message?: string) => void;

const reply = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, text });
const bareLines = reply(550, "5.5.2", "Bare CR or LF in the message: lines end with CRLF (RFC 5321 section 2.3.8)");
const unavailable = reply(451, "4.3.0", "The service cannot take mail now, please try again later");
const tooLarge = reply(552, "5.3.4", `Message too large, the limit is ${MAX_MESSAGE_BYTES} octets`);
const full = reply(452, "4.3.1", "Too much mail at once, please try again later");
const slow = reply(451, "4.4.2", "The message did not arrive in time");

export async function listenMx(configuration: Configuration): Promise<MxPort> {
  const { hostname, host, mxPort, tls } = configuration;
  const open = new WeakMap<SMTPServerSession, Open>();
  const addresses = new Map<string, number>();
  let held = 0;

  class Server extends SMTPServer {
    override connect(...connection: Parameters<SMTPServer["connect"]>): void {
      super.connect(...connection);
      const newest = [...(this.connections as unknown as Iterable<Connection>)].at(-1);
      if (newest) replies.attach(newest);
    }
  }

  const server: SMTPServer = new Server({
    name: hostname,
    banner: "Holdfast",
    size: MAX_MESSAGE_BYTES,
    authOptional: true,
    disabledCommands: tls ? ["AUTH"] : ["AUTH", "STARTTLS"],
    hideDSN: true,
    hideREQUIRETLS: true,
    disableReverseLookup: true,
    logger: false,
    maxClients: MX_CONNECTIONS,
    maxCommandLength: MX_COMMAND_BYTES,
    socketTimeout: MX_IDLE_TIMEOUT,
    ...(tls ? { cert: tls.cert, key: tls.key } : {}),

    onConnect(session, done) {
      const count = addresses.get(session.remoteAddress) ?? 0;
      if (count >= MX_CONNECTIONS_PER_ADDRESS) {
        return done(Object.assign(new Error("Too many connections from your address"), { responseCode: 421 }));
      }
      addresses.set(session.remoteAddress, count + 1);
      counted.add(session);
      done();
    },
    onRcptTo(address, session, done) {
      void recipient(address.address, session, done);
    },
    onData(stream, session, done) {
      void message(stream, session, done);
    },
    onClose(session) {
      open.get(session)?.transaction.abort();
      if (!counted.delete(session)) return;
      const count = (addresses.get(session.remoteAddress) ?? 1) - 1;
      if (count > 0) addresses.set(session.remoteAddress, count);
      else addresses.delete(session.remoteAddress);
    },
  });
  const counted = new WeakSet<SMTPServerSession>();
  const replies = new ExactReplies(server);

  async function recipient(to: string, session: SMTPServerSession, done: Done): Promise<void> {
    try {
      const transaction = await transactionOf(session);
      const answer = await transaction.recipient(to);
      if (answer.code < 300) done();
      else replies.answer(done, answer);
    } catch (error) {
      replies.answer(done, failed(error));
    }
  }

  /** That of the session's MAIL; the one before, left by RSET or a new MAIL, is given up. */
  async function transactionOf(session: SMTPServerSession): Promise<WorkerTransaction> {
    const { envelope } = session;
    const known = open.get(session);
    if (known?.envelope === envelope && known.transaction.usable) return known.transaction;
    known?.transaction.abort();
    // Recipients that were accepted before are the broken transaction's: a new one must not forget them.
    if (known?.envelope === envelope && envelope.rcptTo.length > 0) throw new WorkerUnavailableError("it broke off");
    const from = envelope.mailFrom;
    const size = Number((from && from.args && (from.args as Record<string, unknown>).SIZE) || 0);
    const { bodyType, smtpUtf8 } = envelope as { bodyType?: string; smtpUtf8?: boolean };
    const transaction = await WorkerTransaction.open(
      configuration,
      {
        ip: session.remoteAddress.replace(/^::ffff:/, ""),
        helo: String(session.hostNameAppearsAs || ""),
        protocol: session.transmissionType,
      },
      {
        from: from ? from.address : "",
        body: bodyType?.toLowerCase() === "8bitmime" ? "8BITMIME" : "7BIT",
        smtputf8: smtpUtf8 === true,
        ...(size > 0 ? { size } : {}),
      },
    );
    open.set(session, { transaction, envelope });
    return transaction;
  }

  async function message(stream: SMTPServerDataStream, session: SMTPServerSession, done: Done): Promise<void> {
    const { envelope } = session;
    let taken = 0;
    try {
      const octets = await read(stream, session, (count) => {
        if (held + count > GATEWAY_MEMORY_BYTES) return false;
        held += count;
        taken += count;
        return true;
      });
      const known = open.get(session);
      if (!Buffer.isBuffer(octets)) {
        known?.transaction.abort();
        return replies.answer(done, octets);
      }
      if (known?.envelope !== envelope) throw new WorkerUnavailableError("there is no transaction");
      replies.answer(done, await known.transaction.message(octets));
    } catch (error) {
      replies.answer(done, failed(error));
    } finally {
      held -= taken;
      open.delete(session);
    }
  }

  /** To the final dot. @returns the octets, or why they are not taken */
  function read(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    hold: (count: number) => boolean,
  ): Promise<Buffer | Reply> {
    const parts: Buffer[] = [];
    const bare = new BareLines();
    let refusal: Reply | null = null;
    let pause: NodeJS.Timeout | undefined;
    // A sender that ends its lines with LF alone ends its message so too, and waits for ever.
    const leave = (answer: Reply) => {
      const connection = replies.connectionOf(session);
      connection?.send(answer.code, `${answer.enhanced} ${answer.text}`, "");
      connection?.close();
      stream.destroy();
    };
    return new Promise((resolve, reject) => {
      const whole = setTimeout(() => leave(slow), MX_MESSAGE_TIMEOUT);
      stream.on("data", (part: Buffer) => {
        clearTimeout(pause);
        if (bare.look(part)) {
          refusal = bareLines;
          pause = setTimeout(() => leave(bareLines), MX_BARE_LINE_PAUSE);
        } else if (stream.sizeExceeded) refusal = tooLarge;
        else if (!hold(part.length)) refusal ??= full;
        if (refusal) parts.length = 0;
        else parts.push(part);
      });
      const end = () => {
        clearTimeout(pause);
        clearTimeout(whole);
      };
      stream.once("end", () => {
        end();
        if (bare.end()) refusal = bareLines;
        resolve(refusal ?? Buffer.concat(parts));
      });
      stream.once("close", () => {
        end();
        reject(new WorkerUnavailableError("the sender went away in the middle of its message"));
      });
    });
  }

  server.on("error", (error) => console.error(`MX port: ${error.message}`));
  await new Promise<void>((resolve, reject) => {
    server.server.once("error", reject);
    server.listen(mxPort, host, () => resolve());
  });
  const { address, port } = server.server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function failed(error: unknown): Reply {
  console.error(`a transaction failed: ${error instanceof Error ? error.message : String(error)}`);
  return unavailable;
}
