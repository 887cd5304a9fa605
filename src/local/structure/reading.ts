/** What one parser made of one message, in terms that all of them have. */

export interface ReadLeaf {
  /** `text/plain` */
  readonly type: string;
  /** What it is called as a file; null where it has no name, or the parser does not say. */
  readonly name: string | null;
  /** Octets, decoded; of a message within the message its own; null where the parser does not say. */
  readonly size: number | null;
  /** Of text, decoded to letters, line ends as LF; else null. */
  readonly text: string | null;
}

/** What is null, the parser does not say. */
export interface Reading {
  readonly subject: string | null;
  /** Without angle brackets; empty where there is none. */
  readonly messageId: string | null;
  /** Unix seconds; NaN where there is no date to be read. */
  readonly date: number | null;
  readonly from: readonly string[] | null;
  readonly to: readonly string[] | null;
  readonly cc: readonly string[] | null;
  /** Types of the parts: `multipart/mixed(text/plain,message/rfc822(text/plain))`. */
  readonly tree: string;
  /** Parts that have none of their own, and messages, those within them behind them. */
  readonly leaves: readonly ReadLeaf[];
  /** JMAP's lists, as places in `leaves`; null where the parser has none. */
  readonly bodies: Bodies | null;
}

export interface Bodies {
  readonly text: readonly number[];
  readonly html: readonly number[];
  readonly attached: readonly number[];
}

/** Our own reading says too where a leaf lies: what explains a difference. */
export interface PlacedLeaf extends ReadLeaf {
  /** Octets as they stand. */
  readonly raw: Uint8Array;
  readonly encoding: string;
  /** As it is declared, in lower case; empty where it is not. */
  readonly charset: string;
  /** It ends with the message: no delimiter has ended it. */
  readonly last: boolean;
}

export interface OurReading extends Reading {
  readonly leaves: readonly PlacedLeaf[];
  /** Characters of the row's column; null where the structure is too long for it. */
  readonly stored: number | null;
}

/** A person as all parsers can tell them: `name <address>`. */
export function person(name: string | null, address: string): string {
  return `${(name ?? "").replace(/\s+/g, " ").trim()} <${address.trim()}>`;
}

export function plainText(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(/^\ufeff/, "");
}
