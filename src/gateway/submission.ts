/**
 * The submission ports: SMTP from people's mail programs, and from customers' own servers that send through us. Whoever speaks is
 * known by a login, by a certificate of their own, or by their address: the Worker decides, with each transaction.
 */
import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { SMTPServerSession } from "smtp-server";
import type { Submitter } from "../core/protocol/gateway/frames.ts";
import type { LoginAnswer } from "../core/protocol/gateway/login.ts";
import { MAX_LOGIN_FAILURES } from "../core/send/limits.ts";
import type { Configuration } from "./configuration.ts";
import { logIn } from "./login.ts";
import type { Connection } from "./replies.ts";
import { listenSmtp, type PortLimits, type PortOptions, type SmtpPort } from "./smtp-port.ts";

/** As on the MX port, but for AUTH. */
const DISABLED = ["XCLIENT", "XFORWARD", "WIZ", "SHELL", "KILL"];

/**
 * @param secure TLS before the greeting (RFC 8314 §3.3), else STARTTLS, before which nobody can log in
 * @throws where there is no certificate: a password would travel in clear text
 */
export async function listenSubmission(
  configuration: Configuration,
  port: number,
  secure: boolean,
  limits?: PortLimits,
  shared: Pick<PortOptions, "budget"> = {},
): Promise<SmtpPort> {
  if (!configuration.tls) throw new Error("a submission port needs a certificate");
  const failures = new WeakMap<SMTPServerSession, number>();

  async function login(username: string, password: string, session: SMTPServerSession): Promise<LoginAnswer> {
    const before = failures.get(session) ?? 0;
    if (before >= MAX_LOGIN_FAILURES) {
      return { kind: "refused", code: 421, enhanced: "4.7.0", text: "Too many wrong passwords on this connection" };
    }
    const answer = await logIn(configuration, { username, password, ip: addressOf(session) });
    if (answer.kind === "refused" && answer.code >= 500) failures.set(session, before + 1);
    return answer;
  }

  return listenSmtp(
    configuration,
    {
      name: secure ? "submissions port" : "submission port",
      port,
      submitter: submitterOf,
      login,
      ...shared,
      server: {
        secure,
        authOptional: true,
        authMethods: ["PLAIN", "LOGIN"],
        disabledCommands: DISABLED,
        // Whoever has a certificate may show it; which ones are good is the Worker's to say.
        requestCert: true,
        rejectUnauthorized: false,
      },
    },
    limits,
  );
}

function submitterOf(session: SMTPServerSession, connection: Connection | undefined): Submitter {
  // What `login` was answered; smtp-server has false, or nothing, where nobody has logged in.
  const user: unknown = session.user;
  const ticket = typeof user === "string" ? user : undefined;
  const certificate = fingerprintOf(connection?._socket);
  return { ...(ticket === undefined ? {} : { ticket }), ...(certificate ? { certificate } : {}) };
}

/** The handshake has proved that the client has the key of the certificate, whoever signed it. */
function fingerprintOf(socket: unknown): string | null {
  const { getPeerCertificate } = (socket ?? {}) as Partial<TLSSocket>;
  const raw = getPeerCertificate?.call(socket as TLSSocket)?.raw;
  return raw ? createHash("sha256").update(raw).digest("hex") : null;
}

function addressOf(session: SMTPServerSession): string {
  return session.remoteAddress.replace(/^::ffff:/, "");
}
