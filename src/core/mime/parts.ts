/**
 * The parts of a message as its octets go by (RFC 2046 §5.1): each part's header, then its body as it stands, in pieces. What
 * is held is one line at most and the headers of the parts that are open, whatever the size of the message.
 */
import { MAX_HEADER_BYTES, MAX_MIME_DEPTH, MAX_MIME_PARTS, MAX_PART_HEADER_BYTES } from "../limits.ts";
import { readStructuredField, type StructuredField } from "./content-type.ts";
import { type HeaderField, readHeader } from "./header.ts";
import { joined } from "./joined.ts";
import { isHeaderLine, LineGatherer } from "./part-lines.ts";

export interface Part {
  /** `multipart`: has parts of its own. `message`: a message within the message, unencoded. */
  readonly kind: "leaf" | "multipart" | "message";
  /** Null for the message itself. */
  readonly parent: Part | null;
  readonly header: Uint8Array;
  readonly fields: readonly HeaderField[];
  readonly type: StructuredField;
  readonly disposition: StructuredField;
  /** Content-Transfer-Encoding, as it stands. */
  readonly encoding: string;
  /**
   * A message that is attached, or a report's evidence (RFC 6522 §3): its parts are told all the same, but who reads the mail
   * has it handed out whole.
   */
  readonly apart: boolean;
  /** Where its header begins in the octets, and its body: behind the empty line, where there is one. */
  readonly headerFrom: number;
  readonly bodyFrom: number;
}

export interface PartEnd {
  /** Where the body ends in the octets: before the line end that belongs to a delimiter. */
  readonly bodyTo: number;
  /** Line ends (LF) in the body, as it stands. */
  readonly lines: number;
}

export interface PartSink {
  /** A part begins: its header is whole. */
  open(part: Part): void;
  /** Octets of its body, still in their transfer encoding; of a multipart, what stands before its first part. May share memory. */
  body(part: Part, octets: Uint8Array): void;
  close(part: Part, end: PartEnd): void;
}

interface Open {
  readonly part: Part;
  /** Line ends before its body. */
  readonly linesBefore: number;
  /** `--boundary` as Latin-1; null where it has none. */
  readonly delimiter: string | null;
  depth: number;
  children: number;
}

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;
const NOTHING = new Uint8Array();
/** RFC 2046 §5.1.1 allows a boundary of 70 characters; a line of so many octets is no delimiter, whatever it says. */
const MAX_DELIMITER_LINE = 1_000;

export class PartReader {
  readonly #sink: PartSink;
  readonly #open: Open[] = [];
  #state: "header" | "body" | "outside" = "header";
  /** Of the part whose header is read: its parent. */
  #parent: Open | null = null;
  #header = new LineGatherer(MAX_HEADER_BYTES);
  #line: LineGatherer | null = null;
  #lineStart = true;
  /** The end of the last line of a body: it belongs to a delimiter that may follow (RFC 2046 §5.1.1). */
  #heldEnd: Uint8Array = NOTHING;
  #parts = 0;
  /** Octets of the chunks before this one. */
  #base = 0;
  /** The last two octets of those. */
  #tail: Uint8Array = NOTHING;
  /** Where the line begins that is gathered, with the octets of the line end before it. */
  #lineFrom = 0;
  #endBefore = 0;
  /** Line ends up to there. */
  #lines = 0;
  #headerFrom = 0;
  /** Parts were left out, or taken for plain bodies, because there were too many or too deep. */
  limited = false;

  constructor(sink: PartSink) {
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#line || this.#state === "header" || (this.#lineStart && chunk[at] === DASH))
        at = this.#gather(chunk, at);
      else at = this.#run(chunk, at);
    }
    this.#base += chunk.length;
    this.#tail = chunk.length > 1 ? chunk.slice(-2) : joined([this.#tail, chunk]).slice(-2);
  }

  /** To be called once, after the last octet. */
  end(): void {
    if (this.#line) this.#whole(this.#line.take(), false);
    if (this.#state === "header") this.#headerEnds(this.#base);
    this.#flushEnd();
    this.#closeTo(0, { bodyTo: this.#base, lines: this.#lines });
  }

  /** A line that has to be seen whole: of a header, or one that may be a delimiter. @returns where it goes on */
  #gather(chunk: Uint8Array, at: number): number {
    if (!this.#line) {
      this.#line = new LineGatherer(this.#state === "header" ? MAX_HEADER_BYTES : MAX_DELIMITER_LINE);
      this.#lineFrom = this.#base + at;
      this.#endBefore = lineEndOf(at > 1 ? chunk.subarray(at - 2, at) : joined([this.#tail, chunk.subarray(0, at)]));
    }
    const lf = chunk.indexOf(LF, at);
    const lineEnd = lf === -1 ? chunk.length : lf + 1;
    const end = this.#state === "header" ? lineEnd : Math.min(lineEnd, at + this.#line.room);
    this.#line.add(chunk.subarray(at, end));
    const whole = lf !== -1 && end === lineEnd;
    // Outside of a header, what is too long to be a delimiter goes on as a body.
    if (!whole && (this.#state === "header" || this.#line.room > 0)) return end;
    const line = this.#line.take();
    this.#line = null;
    this.#whole(line, whole);
    if (whole) this.#lines++;
    this.#lineStart = whole;
    return end;
  }

  /** @param ended with its line end */
  #whole(line: Uint8Array, ended: boolean): void {
    if (line[0] === DASH && line[1] === DASH && this.#delimits(line)) return;
    if (this.#state !== "header") {
      this.#body(line);
      return;
    }
    if (isBlank(line)) {
      if (ended) this.#headerEnds(this.#lineFrom + line.length, 1);
      return;
    }
    if (isHeaderLine(line, this.#header.empty)) {
      this.#header.add(line);
      return;
    }
    // No empty line: the body begins all the same, with this line, which may be its first delimiter.
    this.#headerEnds(this.#lineFrom);
    this.#whole(line, ended);
  }

  /** Lines of a body up to one that begins like a delimiter. @returns where that line begins */
  #run(chunk: Uint8Array, at: number): number {
    let from = at;
    for (;;) {
      const lf = chunk.indexOf(LF, from);
      const end = lf === -1 ? chunk.length : lf + 1;
      if (lf !== -1) this.#lines++;
      if (end === chunk.length || chunk[end] === DASH) {
        this.#body(chunk.subarray(at, end));
        this.#lineStart = lf !== -1;
        return end;
      }
      from = end;
    }
  }

  #body(octets: Uint8Array): void {
    const open = this.#open.at(-1);
    if (this.#state !== "body" || !open || octets.length === 0) return;
    let rest = octets;
    // CR and LF came in two pieces.
    if (this.#heldEnd.length === 1 && this.#heldEnd[0] === CR && rest[0] === LF) {
      this.#heldEnd = Uint8Array.of(CR, LF);
      rest = rest.subarray(1);
      if (rest.length === 0) return;
    }
    this.#flushEnd();
    const end = lineEndOf(rest);
    this.#heldEnd = rest.slice(rest.length - end);
    if (rest.length > end) this.#sink.body(open.part, rest.subarray(0, rest.length - end));
  }

  #flushEnd(): void {
    const open = this.#open.at(-1);
    if (this.#state === "body" && open && this.#heldEnd.length > 0) this.#sink.body(open.part, this.#heldEnd);
    this.#heldEnd = NOTHING;
  }

  /** Whether the line is a delimiter of a multipart that is open: then what is within that one ends. */
  #delimits(line: Uint8Array): boolean {
    if (line.length >= MAX_DELIMITER_LINE) return false;
    const text = String.fromCharCode(...line);
    const index = this.#delimited(text);
    const open = this.#open[index];
    if (!open?.delimiter) return false;
    if (this.#state === "header") this.#headerEnds(this.#lineFrom);
    this.#heldEnd = NOTHING;
    this.#closeTo(index + 1, this.#endAtDelimiter());
    if (text.startsWith("--", open.delimiter.length)) {
      // What follows the last part is nobody's (RFC 2046 §5.1.1).
      this.#state = "outside";
    } else {
      this.#parent = open;
      this.#state = "header";
      this.#header = new LineGatherer(MAX_PART_HEADER_BYTES);
      this.#headerFrom = this.#lineFrom + line.length;
    }
    return true;
  }

  /**
   * A line is told by how it begins: "an exact match of the entire candidate line is not required" (RFC 2046 §5.1.1). Of several
   * that it may belong to, the longest has it; of equal ones, the innermost.
   * @returns the place of the multipart among the open ones; -1: it is no delimiter
   */
  #delimited(line: string): number {
    let longest = 0;
    return this.#open.reduceRight((found, { delimiter }, index) => {
      if (!delimiter || delimiter.length <= longest || !line.startsWith(delimiter)) return found;
      longest = delimiter.length;
      return index;
    }, -1);
  }

  /** The line end before it is the delimiter's own (RFC 2046 §5.1.1), unless it is that of a header with nothing behind it. */
  #endAtDelimiter(): PartEnd {
    const bodyTo = this.#lineFrom - this.#endBefore;
    const innermost = this.#open.at(-1)?.part.bodyFrom ?? 0;
    if (bodyTo < innermost) return { bodyTo: this.#lineFrom, lines: this.#lines };
    return { bodyTo, lines: this.#lines - (this.#endBefore > 0 ? 1 : 0) };
  }

  /** @param blankLine of the header's end: it is no line of the body */
  #headerEnds(bodyFrom: number, blankLine = 0): void {
    const parent = this.#parent;
    const header = this.#header.take();
    this.#lineStart = true;
    if (parent) parent.children++;
    if (++this.#parts > MAX_MIME_PARTS) {
      this.limited = true;
      this.#state = "outside";
      return;
    }
    const depth = (parent?.depth ?? 0) + 1;
    const at = { headerFrom: this.#headerFrom, bodyFrom };
    const part = readPart(header, parent?.part ?? null, at, depth > MAX_MIME_DEPTH);
    if (depth > MAX_MIME_DEPTH) this.limited = true;
    const boundary = part.kind === "multipart" ? part.type.parameters.get("boundary") : undefined;
    const open: Open = {
      part,
      linesBefore: this.#lines + blankLine,
      delimiter: boundary === undefined ? null : `--${boundary}`.trimEnd(),
      depth,
      children: 0,
    };
    this.#open.push(open);
    this.#sink.open(part);
    this.#state = part.kind === "message" ? "header" : "body";
    if (part.kind === "message") {
      this.#parent = open;
      this.#header = new LineGatherer(MAX_PART_HEADER_BYTES);
      this.#headerFrom = bodyFrom;
    }
  }

  #closeTo(length: number, { bodyTo, lines }: PartEnd): void {
    for (let open = this.#open[length] && this.#open.pop(); open; open = this.#open[length] && this.#open.pop())
      this.#sink.close(open.part, { bodyTo, lines: lines - open.linesBefore });
  }
}

/** @param deep: it is taken for a leaf, whatever it says */
function readPart(
  header: Uint8Array,
  parent: Part | null,
  at: Pick<Part, "headerFrom" | "bodyFrom">,
  deep: boolean,
): Part {
  const { fields } = readHeader(header);
  const field = (name: string) => fields.find((one) => one.name === name)?.value ?? "";
  const type = typeOf(field("content-type"), parent);
  const disposition = readStructuredField(field("content-disposition"));
  const encoding = field("content-transfer-encoding");
  return {
    kind: deep ? "leaf" : kindOf(type, encoding),
    parent,
    header,
    fields,
    type,
    disposition,
    encoding,
    apart: disposition.value === "attachment" || parent?.type.value === "multipart/report",
    ...at,
  };
}

/** What cannot be read is plain text (RFC 2045 §5.2). */
function typeOf(field: string, parent: Part | null): StructuredField {
  const declared = readStructuredField(field || defaultType(parent));
  return /^[^/]+\/[^/]+$/.test(declared.value) ? declared : { ...declared, value: "text/plain" };
}

/** RFC 2046 §5.1.5. */
function defaultType(parent: Part | null): string {
  return parent?.type.value === "multipart/digest" ? "message/rfc822" : "text/plain";
}

function kindOf(type: StructuredField, encoding: string): Part["kind"] {
  if (type.value.startsWith("multipart/")) return (type.parameters.get("boundary") ?? "") === "" ? "leaf" : "multipart";
  // What is encoded cannot be looked into as it goes by (RFC 2046 §5.2.1 forbids it, RFC 6532 §3.7 does not).
  const message = type.value === "message/rfc822" || type.value === "message/global";
  return message && !/base64|quoted-printable/i.test(encoding) ? "message" : "leaf";
}

function isBlank(line: Uint8Array): boolean {
  return line.length === 0 || line[0] === LF || (line[0] === CR && line[1] === LF);
}

/** Octets of the line end at the end, or of a CR that may be half of one. */
function lineEndOf(octets: Uint8Array): number {
  const last = octets.at(-1);
  if (last === CR) return 1;
  if (last !== LF) return 0;
  return octets.at(-2) === CR ? 2 : 1;
}
