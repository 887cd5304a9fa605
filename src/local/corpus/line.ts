/** What a run says of one file, and of all of them. */
import type { Reply } from "../../core/outcome.ts";
import { onTheWire } from "./files.ts";
import { type ReadBack, sha256 } from "./read-back.ts";

/** `line ends made CRLF`: as the design has it where a message had others, or no last one. */
export type OriginOctets = "equal" | "line ends made CRLF" | "different" | null;

export interface CorpusLine {
  readonly file: string;
  /** Its number, from 1: `--from` takes it. */
  readonly number: number;
  readonly size: number;
  /** Null: neither accepted nor refused. */
  readonly accepted: boolean | null;
  readonly reply: string | null;
  /** The archive's octets are those that were sent; null where there is nothing to compare. */
  readonly octetsEqual: boolean | null;
  readonly originOctets: OriginOctets;
  readonly subject: string | null;
  readonly from: ReadBack["from"] | null;
  readonly to: ReadBack["to"] | null;
  readonly cc: ReadBack["cc"] | null;
  readonly date: string | null;
  /** The first MAX_TEXT characters. */
  readonly text: string | null;
  readonly textLength: number | null;
  readonly textSha256: string | null;
  readonly attachments: ReadBack["attachments"] | null;
  readonly rendered: boolean | null;
  /** From the first octet sent to the last one read back. */
  readonly milliseconds: number;
  /** The most that each process held meanwhile, octets. */
  readonly peakMemory: { readonly workerd: number | null; readonly gateway: number | null };
  readonly error: string | null;
}

/** Characters of a text that a line carries. */
const MAX_TEXT = 20_000;

export function compareAtOrigin(
  sent: Buffer,
  at: { readonly octets: Buffer; readonly ours: boolean } | null,
): OriginOctets {
  if (!at) return null;
  if (!at.ours) return "different";
  if (at.octets.equals(sent)) return "equal";
  return at.octets.equals(onTheWire(sent)) ? "line ends made CRLF" : "different";
}

export function readBackFields(back: ReadBack | null) {
  if (!back) {
    const nothing = { subject: null, from: null, to: null, cc: null, date: null, text: null };
    return { ...nothing, textLength: null, textSha256: null, attachments: null, rendered: null };
  }
  const { raw: _, text, ...rest } = back;
  return {
    ...rest,
    text: text.slice(0, MAX_TEXT).toWellFormed(),
    textLength: text.length,
    textSha256: sha256(Buffer.from(text)),
  };
}

/** The run's result: counts, and what went wrong. */
export class Tally {
  messages = 0;
  accepted = 0;
  failures = 0;
  readonly #refusals = new Map<string, number>();
  readonly #origin = new Map<string, number>();
  #equal = 0;
  #notRendered = 0;
  #errors = 0;
  #peak = 0;

  add(line: CorpusLine, reply: Reply | null): void {
    this.messages++;
    if (line.accepted) this.accepted++;
    if (line.octetsEqual) this.#equal++;
    if (line.error !== null) this.#errors++;
    if (line.rendered === false) this.#notRendered++;
    if (line.accepted === false && reply) count(this.#refusals, `${reply.code} ${reply.enhanced ?? ""}`.trim());
    if (line.accepted) count(this.#origin, line.originOctets ?? "not there");
    this.#peak = Math.max(this.#peak, line.peakMemory.workerd ?? 0);
    if (failed(line, reply)) this.failures++;
  }

  summary(seconds: number): string {
    const list = (counts: Map<string, number>) => [...counts].map(([what, times]) => `${what}: ${times}`).join(", ");
    const refused = [...this.#refusals.values()].reduce((sum, times) => sum + times, 0);
    return [
      `${this.messages} messages in ${seconds.toFixed(1)} s`,
      `accepted ${this.accepted}`,
      `refused ${refused}${refused > 0 ? ` (${list(this.#refusals)})` : ""}`,
      `octets equal in the archive ${this.#equal}`,
      `at the origin ${list(this.#origin) || "none"}`,
      `pages not answered 200: ${this.#notRendered}`,
      `errors ${this.#errors}`,
      `failures ${this.failures}`,
      ...(this.#peak > 0 ? [`peak of workerd ${Math.round(this.#peak / 1024 / 1024)} MiB`] : []),
    ].join("; ");
  }
}

/** Accepted and the same octets in the archive and at the origin, or refused for good; everything else is a failure. */
function failed(line: CorpusLine, reply: Reply | null): boolean {
  if (line.accepted === false) return (reply?.code ?? 0) < 500;
  return line.octetsEqual !== true || line.originOctets === null || line.originOctets === "different";
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
