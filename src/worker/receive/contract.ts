/** The one way in: `email()` and the gateway both speak to a transaction like this. */
import type { Client } from "../../core/envelope.ts";
import type { Reply } from "../../core/outcome.ts";

export interface MailFrom {
  /** Without angle brackets; empty for `<>`. */
  readonly from: string;
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
  /** The SIZE parameter, where given. */
  readonly size?: number;
}

/** The octets of one message and how many there will be. */
export interface MessageSource {
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** One SMTP transaction. Replies are ready for the wire; `code` 2xx accepts. */
export interface Transaction {
  recipient(to: string): Promise<Reply>;
  /** To be called once, with at least one accepted recipient. Resolves when all is stored or handed on. */
  message(source: MessageSource): Promise<Reply>;
  /** The sender went away or reset: nothing is kept, the origin's transaction is left. */
  abort(): void;
  /**
   * What goes on behind the reply to a message, such as the wait for a late final reply of the origin: until it resolves, the
   * invocation should live. At once where nothing does. Never rejects.
   */
  afterwards(): Promise<void>;
}

/** receive/transaction.ts: `openTransaction(env, ctx, client, mail, forwardable, patience)`. */
export type OpenTransaction = (client: Client, mail: MailFrom) => Transaction;
