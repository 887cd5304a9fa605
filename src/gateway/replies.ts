/** Replies on an SMTP port exactly as the Worker gave them: code, enhanced code and every line. */
import type { SMTPServer } from "smtp-server";
import type { Reply } from "../core/outcome.ts";
import { parsePathCommand } from "./path.ts";

/** What smtp-server has for a connection, as far as we reach into it (smtp-server is pinned; test/gateway tries each). */
export interface Connection {
  readonly session: object;
  /** The message that is coming in or waits for its reply. */
  readonly _dataStream: unknown;
  /** The client's, under TLS once that has begun. */
  readonly _socket: unknown;
  send(code: number, data: string | readonly string[], context?: string | false): void;
  close(): void;
  _getEnhancedStatusCode(code: number, context?: string | false): string;
  _parseAddressCommand(name: string, command: { toString(): string }): ParsedAddress | false;
  _resetSession(): void;
  /** Under TLS. */
  readonly secure: boolean;
  _isSupported(command: string): boolean;
}

interface ParsedAddress {
  readonly address: string;
  readonly args: Readonly<Record<string, string | true>> | false;
  /** The parameter that stands there twice. */
  readonly duplicate?: string;
}

type Callback = (error?: (Error & { responseCode?: number }) | null, message?: string) => void;

/**
 * smtp-server adds an enhanced code of its own to each reply, decodes domains, and refuses local parts that are met in real
 * mail (quoted ones with spaces, dots side by side): replies and addresses must be left as they came.
 */
export class ExactReplies {
  readonly #server: SMTPServer;
  readonly #onReset: (session: object) => void;
  #exact = false;

  /** @param onReset the transaction is over: RSET, EHLO, STARTTLS, or the reply to its message */
  constructor(server: SMTPServer, onReset: (session: object) => void) {
    this.#server = server;
    this.#onReset = onReset;
  }

  /** To be called once for each new connection. */
  attach(connection: Connection): void {
    const enhanced = connection._getEnhancedStatusCode.bind(connection);
    connection._getEnhancedStatusCode = (code, context) => (this.#exact ? "" : enhanced(code, context));
    connection._parseAddressCommand = (name, command) => {
      const parsed = parsePathCommand(name.toUpperCase() === "MAIL FROM" ? "MAIL" : "RCPT", command.toString());
      if (!parsed.ok) return false;
      const { address, parameters, duplicate } = parsed.value;
      const args = parameters.size > 0 && Object.fromEntries(parameters);
      return duplicate === undefined ? { address, args } : { address, args, duplicate };
    };
    const supported = connection._isSupported.bind(connection);
    // RFC 4954 §4: offered in clear text, many a client would send its password so.
    connection._isSupported = (command) => (command !== "AUTH" || connection.secure) && supported(command);
    const reset = connection._resetSession.bind(connection);
    connection._resetSession = () => {
      this.#onReset(connection.session);
      reset();
    };
  }

  connectionOf(session: object): Connection | undefined {
    for (const connection of this.#server.connections as unknown as Iterable<Connection>) {
      if (connection.session === session) return connection;
    }
    return undefined;
  }

  /** Ends a step of smtp-server with this reply. */
  answer(done: Callback, reply: Reply): void {
    const lines = reply.text.split("\n").map((line) => [reply.enhanced, line].filter(Boolean).join(" "));
    this.#exact = true;
    try {
      if (reply.code < 300) done(null, lines.join(" "));
      else done(refusal(reply.code, lines));
    } finally {
      this.#exact = false;
    }
  }
}

function refusal(code: number, lines: readonly string[]): Error & { responseCode: number } {
  const error = Object.assign(new Error(), { responseCode: code });
  // smtp-server writes a multi-line reply where the message is a list.
  Object.defineProperty(error, "message", { value: lines.length === 1 ? lines[0] : lines });
  return error;
}
