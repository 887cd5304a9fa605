/** Replies on an SMTP port exactly as the Worker gave them: code, enhanced code and every line. */
import type { SMTPServer } from "smtp-server";
import type { Reply } from "../core/outcome.ts";

/** What smtp-server has for a connection, as far as we reach into it (smtp-server is pinned; test/gateway tries each). */
export interface Connection {
  readonly session: object;
  send(code: number, data: string | readonly string[], context?: string | false): void;
  close(): void;
  _getEnhancedStatusCode(code: number, context?: string | false): string;
  _parseAddressCommand(name: string, command: { toString(): string }): { address: string } | false;
}

type Callback = (error?: (Error & { responseCode?: number }) | null, message?: string) => void;

const PATH = /^[^:]*:\s*<(?:@[^:>]*:)?([^<>]*)>/;

/** smtp-server adds an enhanced code of its own to each reply, and decodes domains: both must be left as they came. */
export class ExactReplies {
  readonly #server: SMTPServer;
  #exact = false;

  constructor(server: SMTPServer) {
    this.#server = server;
  }

  /** To be called once for each new connection. */
  attach(connection: Connection): void {
    const enhanced = connection._getEnhancedStatusCode.bind(connection);
    connection._getEnhancedStatusCode = (code, context) => (this.#exact ? "" : enhanced(code, context));
    const parse = connection._parseAddressCommand.bind(connection);
    connection._parseAddressCommand = (name, command) => {
      const parsed = parse(name, command);
      if (parsed) parsed.address = PATH.exec(command.toString())?.[1] ?? parsed.address;
      return parsed;
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
      if (reply.code < 300) return done(null, lines.join(" "));
      const error = Object.assign(new Error(), { responseCode: reply.code });
      // smtp-server writes a multi-line reply where the message is a list.
      Object.defineProperty(error, "message", { value: lines.length === 1 ? lines[0] : lines });
      done(error);
    } finally {
      this.#exact = false;
    }
  }
}
