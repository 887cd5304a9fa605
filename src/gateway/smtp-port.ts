/** A port on which others speak SMTP to us. No mailbox, no queue, no decision: each transaction is the Worker's. */
import type { AddressInfo } from "node:net";
import {
  SMTPServer,
  type SMTPServerAddress,
  type SMTPServerDataStream,
  type SMTPServerOptions,
  type SMTPServerSession,
} from "smtp-server";
import {
  GATEWAY_MEMORY_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_RECIPIENTS,
  MX_CLOSE_TIMEOUT,
  MX_COMMAND_BYTES,
  MX_CONNECTIONS,
  MX_CONNECTIONS_PER_ADDRESS,
  MX_IDLE_TIMEOUT,
} from "../core/limits.ts";
import type { Reply } from "../core/outcome.ts";
import type { Submitter } from "../core/protocol/gateway/frames.ts";
import type { LoginAnswer } from "../core/protocol/gateway/login.ts";
import type { Configuration } from "./configuration.ts";
import { MemoryBudget } from "./memory.ts";
import { type DataTimes, readData } from "./mx-data.ts";
import { MinuteRate, networkOf } from "./rate.ts";
import { type Connection, ExactReplies } from "./replies.ts";
import { WorkerTransaction, WorkerUnavailableError } from "./transaction.ts";

export interface SmtpPort {
  readonly host: string;
  readonly port: number;
  /** No new connections; idle ones are told 421, messages under way may end, at most MX_CLOSE_TIMEOUT. */
  close(): Promise<void>;
}

/** Caps that tests try with less patience and memory than an operator has. */
export interface PortLimits {
  readonly memoryBytes: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly data?: DataTimes;
}

export interface PortOptions {
  /** For the log. */
  readonly name: string;
  readonly port: number;
  /** What only this kind of port has: its commands, TLS, logins. */
  readonly server: SMTPServerOptions;
  /**
   * Who speaks, on a port that is not for everybody: then the Worker is asked at MAIL already. Absent: mail from anyone.
   */
  readonly submitter?: (session: SMTPServerSession, connection: Connection | undefined) => Submitter;
  /** AUTH, where the port has it. Never rejects. */
  readonly login?: (username: string, password: string, session: SMTPServerSession) => Promise<LoginAnswer>;
  /** Messages held at once; shared by the ports of a process. */
  readonly budget?: MemoryBudget;
}

interface Open {
  readonly transaction: WorkerTransaction;
  /** smtp-server makes a new one for each transaction: with it a RSET is noticed. */
  readonly envelope: object;
  accepted: number;
}

type Done = (error?: Error | null, message?: string) => void;

const reply = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, text });
const unavailable = reply(451, "4.3.0", "The service cannot take mail now, please try again later");
const tooMany = reply(452, "4.5.3", "Too many recipients, send the others in another transaction");
/** RFC 6531 §3.5: an address beyond ASCII needs the SMTPUTF8 parameter. */
const notAscii = reply(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8 (RFC 6531)");
const OUTSIDE_ASCII = /[^\0-\x7f]/;

const LIMITS: PortLimits = {
  memoryBytes: GATEWAY_MEMORY_BYTES,
  connections: MX_CONNECTIONS,
  connectionsPerAddress: MX_CONNECTIONS_PER_ADDRESS,
};

export async function listenSmtp(
  configuration: Configuration,
  options: PortOptions,
  limits: PortLimits = LIMITS,
): Promise<SmtpPort> {
  const { hostname, host, tls, proxies, connectionRate } = configuration;
  const { submitter } = options;
  const rate = new MinuteRate(connectionRate);
  const open = new WeakMap<SMTPServerSession, Open>();
  const networks = new Map<string, number>();
  const counted = new WeakMap<SMTPServerSession, string>();
  const gone = new WeakSet<SMTPServerSession>();
  const budget = options.budget ?? new MemoryBudget(limits.memoryBytes);

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
    hideENHANCEDSTATUSCODES: false,
    hideDSN: true,
    hideREQUIRETLS: true,
    disableReverseLookup: true,
    logger: false,
    maxClients: limits.connections,
    maxCommandLength: MX_COMMAND_BYTES,
    socketTimeout: MX_IDLE_TIMEOUT,
    closeTimeout: MX_CLOSE_TIMEOUT,
    // The PROXY header is awaited from these alone; from anyone else it is a command like any other, and unknown.
    useProxy: [...proxies],
    ...(tls ? { cert: tls.cert, key: tls.key } : {}),
    ...options.server,

    onConnect(session, done) {
      const network = networkOf(session.remoteAddress);
      if (!isLoopback(session.remoteAddress) && !rate.allows(network, Date.now())) {
        return done(Object.assign(new Error("Too many connections in a minute"), { responseCode: 421 }));
      }
      const count = networks.get(network) ?? 0;
      if (count >= limits.connectionsPerAddress) {
        return done(Object.assign(new Error("Too many connections from your address"), { responseCode: 421 }));
      }
      networks.set(network, count + 1);
      counted.set(session, network);
      done();
    },
    onMailFrom(from, session, done) {
      if (OUTSIDE_ASCII.test(from.address) && !smtputf8(session)) replies.answer(done, notAscii);
      else if (submitter) void begin(from, session, done);
      else done();
    },
    onAuth({ username, password }, session, done) {
      if (!options.login) return done(new Error("there are no logins here"));
      void options.login(username ?? "", password ?? "", session).then((answer) => {
        if (answer.kind === "known") done(null, { user: answer.ticket });
        else replies.answer((error) => done(error), answer);
      });
    },
    onRcptTo(address, session, done) {
      void recipient(address.address, session, done);
    },
    onData(stream, session, done) {
      void message(stream, session, done);
    },
    onClose(session) {
      gone.add(session);
      leave(session);
      const network = counted.get(session);
      if (network === undefined) return;
      counted.delete(session);
      const count = (networks.get(network) ?? 1) - 1;
      if (count > 0) networks.set(network, count);
      else networks.delete(network);
    },
  });
  const replies: ExactReplies = new ExactReplies(server, (session) => leave(session as SMTPServerSession));

  function leave(session: SMTPServerSession): void {
    open.get(session)?.transaction.abort();
    open.delete(session);
  }

  async function begin(from: SMTPServerAddress, session: SMTPServerSession, done: Done): Promise<void> {
    try {
      await transactionOf(session, from);
      done();
    } catch (error) {
      replies.answer(done, failed(error));
    }
  }

  async function recipient(to: string, session: SMTPServerSession, done: Done): Promise<void> {
    try {
      if (OUTSIDE_ASCII.test(to) && !smtputf8(session)) return replies.answer(done, notAscii);
      const current = await transactionOf(session);
      if (current.accepted >= MAX_RECIPIENTS) return replies.answer(done, tooMany);
      const answer = await current.transaction.recipient(to);
      if (answer.code >= 300) return replies.answer(done, answer);
      current.accepted++;
      done();
    } catch (error) {
      replies.answer(done, failed(error));
    }
  }

  /** That of the session's MAIL; the one before, left by RSET or a new MAIL, is given up. */
  async function transactionOf(
    session: SMTPServerSession,
    from: SMTPServerAddress | false = session.envelope.mailFrom,
  ): Promise<Open> {
    const { envelope } = session;
    const known = open.get(session);
    if (known?.envelope === envelope && known.transaction.usable) return known;
    known?.transaction.abort();
    // Recipients that were accepted before are the broken transaction's: a new one must not forget them.
    if (known?.envelope === envelope && envelope.rcptTo.length > 0) throw new WorkerUnavailableError("it broke off");
    const size = Number((from !== false && from.args && from.args.SIZE) || 0);
    const { bodyType } = envelope as { bodyType?: string };
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
        smtputf8: smtputf8(session),
        ...(size > 0 ? { size } : {}),
      },
      submitter?.(session, replies.connectionOf(session)),
    );
    // The sender may have gone away while the Worker was called.
    if (gone.has(session)) {
      transaction.abort();
      throw new WorkerUnavailableError("the sender went away");
    }
    if (submitter) {
      const answer = await transaction.begun();
      if (answer.code >= 300) {
        transaction.abort();
        throw new RefusedError(answer);
      }
    }
    const opened = { transaction, envelope, accepted: 0 };
    open.set(session, opened);
    return opened;
  }

  async function message(stream: SMTPServerDataStream, session: SMTPServerSession, done: Done): Promise<void> {
    const { envelope } = session;
    const giveUp = (answer: Reply) => {
      const connection = replies.connectionOf(session);
      connection?.send(answer.code, `${answer.enhanced} ${answer.text}`, false);
      connection?.close();
    };
    const data = await readData(stream, budget, giveUp, limits.data);
    if (data.kind === "given_up" || data.kind === "gone") return leave(session);
    if (data.kind === "refused") return replies.answer(done, data.reply);
    const known = open.get(session);
    // From here on a sender that goes away changes nothing: the Worker has the last word.
    open.delete(session);
    try {
      if (known?.envelope !== envelope) throw new WorkerUnavailableError("there is no transaction");
      replies.answer(done, await known.transaction.message(data.message.size, data.message.frames()));
    } catch (error) {
      known?.transaction.abort();
      replies.answer(done, failed(error));
    } finally {
      data.message.release();
    }
  }

  server.on("error", (error) => console.error(`${options.name}: ${error.message}`));
  await new Promise<void>((resolve, reject) => {
    server.server.once("error", reject);
    server.listen(options.port, host, () => resolve());
  });
  const { address, port } = server.server.address() as AddressInfo;
  return {
    host: address,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const connection of server.connections as unknown as Iterable<Connection>) {
          if (!connection._dataStream) connection.send(421, "4.3.2 Service is stopping", false);
        }
      }),
  };
}

/** What runs on the gateway's own machine is the operator's. */
function isLoopback(address: string): boolean {
  return address === "::1" || address.replace(/^::ffff:/, "").startsWith("127.");
}

function smtputf8(session: SMTPServerSession): boolean {
  return (session.envelope as { smtpUtf8?: boolean }).smtpUtf8 === true;
}

/** Whoever speaks may not, in the Worker's words. */
class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly reply: Reply;
  constructor(reply: Reply) {
    super(`refused: ${reply.code}`);
    this.reply = reply;
  }
}

function failed(error: unknown): Reply {
  if (error instanceof RefusedError) return error.reply;
  console.error(`a transaction failed: ${error instanceof Error ? error.message : String(error)}`);
  return unavailable;
}
