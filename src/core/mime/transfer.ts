/** A part's octets out of their transfer encoding (RFC 2045 §6), piece by piece, in memory that does not grow. */
import { joined } from "./joined.ts";

export interface TransferDecoder {
  /** The octets stand as they are. */
  readonly isIdentity: boolean;
  /** @returns the octets that are known by now; may share memory with `piece` */
  decode(piece: Uint8Array): Uint8Array;
  /** What was held back for its sequel. */
  end(): Uint8Array;
}

/** @param encoding a Content-Transfer-Encoding, as it stands; what is none of RFC 2045's is taken as it is */
export function transferDecoder(encoding: string): TransferDecoder {
  const name = encoding.trim().toLowerCase();
  if (name.includes("base64")) return new Base64();
  return name.includes("quoted-printable") ? new QuotedPrintable() : IDENTITY;
}

const NOTHING = new Uint8Array();
const IDENTITY: TransferDecoder = { isIdentity: true, decode: (piece) => piece, end: () => NOTHING };

const PAD = 0x3d;
const SEXTETS = new Int8Array(256).fill(-1);
for (const [index, letter] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries())
  SEXTETS[letter.charCodeAt(0)] = index;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
/** What is held of a line behind a pad; a line has 76 (§6.8). */
const MAX_LINE = 1024;

/**
 * Anything beyond the alphabet is passed over (§6.8). A pad is the end, and what follows, such as a mailing list's own lines, is
 * none of it, but for lines that are base64 and nothing else: some mailers write several encodings one after the other.
 */
class Base64 implements TransferDecoder {
  readonly isIdentity = false;
  #bits = 0;
  #count = 0;
  #state: "data" | "padded" | "over" = "data";
  /** Behind a pad, the line so far. */
  #line: number[] = [];

  decode(piece: Uint8Array): Uint8Array {
    const out = new Uint8Array(Math.ceil(((piece.length + this.#line.length) * 3) / 4) + 2);
    let length = 0;
    for (const octet of piece) {
      if (this.#state === "over") break;
      if (this.#state === "data") {
        length = this.#take(octet, out, length);
        continue;
      }
      this.#line.push(octet);
      if (octet === LF || this.#line.length >= MAX_LINE) length = this.#lineEnds(out, length);
    }
    return out.subarray(0, length);
  }

  /** Bits that make no octet are none. */
  end(): Uint8Array {
    const out = new Uint8Array(Math.ceil((this.#line.length * 3) / 4) + 2);
    return out.subarray(0, this.#lineEnds(out, 0));
  }

  /** @returns octets in `out` by now */
  #take(octet: number, out: Uint8Array, length: number): number {
    const sextet = SEXTETS[octet] ?? -1;
    if (sextet === -1) {
      if (octet !== PAD) return length;
      this.#count = 0;
      this.#state = "padded";
      return length;
    }
    this.#bits = ((this.#bits << 6) | sextet) & 0xfff;
    this.#count += 6;
    if (this.#count < 8) return length;
    this.#count -= 8;
    out[length] = (this.#bits >> this.#count) & 0xff;
    return length + 1;
  }

  #lineEnds(out: Uint8Array, before: number): number {
    const line = this.#line;
    this.#line = [];
    const end = line.findLastIndex((octet) => !isBlank(octet)) + 1;
    if (!line.slice(0, end).every((octet) => octet === PAD || SEXTETS[octet] !== -1)) {
      this.#state = "over";
      return before;
    }
    let length = before;
    for (const octet of line) length = this.#take(octet, out, length);
    return length;
  }
}

function isBlank(octet: number): boolean {
  return octet === LF || octet === CR || octet === SPACE || octet === TAB;
}

const EQUALS = 0x3d;
/** An equals sign with what follows it, and white space that may be at the end of a line. A line has 76 (§6.7). */
const MAX_HELD = 1024;

/** §6.7. White space at the end of a line is no part of it; an equals sign that begins nothing stands for itself. */
class QuotedPrintable implements TransferDecoder {
  readonly isIdentity = false;
  #held: Uint8Array = NOTHING;

  decode(piece: Uint8Array): Uint8Array {
    return this.#run(this.#held.length === 0 ? piece : joined([this.#held, piece]), false);
  }

  end(): Uint8Array {
    return this.#run(this.#held, true);
  }

  #run(octets: Uint8Array, last: boolean): Uint8Array {
    const out = new Uint8Array(octets.length);
    let length = 0;
    let at = 0;
    this.#held = NOTHING;
    while (at < octets.length) {
      const octet = octets[at] ?? 0;
      if (octet !== EQUALS && octet !== SPACE && octet !== TAB) {
        out[length++] = octet;
        at++;
        continue;
      }
      const end = octet === EQUALS ? sequenceEnd(octets, at, last) : blankEnd(octets, at, last);
      if (end === null) {
        this.#held = octets.slice(at);
        break;
      }
      if (octet === EQUALS) {
        const value = hex(octets, at + 1);
        if (value !== null) out[length++] = value;
        else if (end === at + 1 && !(last && end === octets.length)) out[length++] = EQUALS;
      } else if (!isLineEnd(octets, end) || end - at >= MAX_HELD) {
        out.set(octets.subarray(at, end), length);
        length += end - at;
      }
      at = end;
    }
    return out.subarray(0, length);
  }
}

/** @returns the offset after `=XX`, after a soft line break, or after the sign alone; null: more is needed to tell */
function sequenceEnd(octets: Uint8Array, at: number, last: boolean): number | null {
  if (hex(octets, at + 1) !== null) return at + 3;
  let end = at + 1;
  while (end < octets.length && end - at < MAX_HELD && (octets[end] === SPACE || octets[end] === TAB)) end++;
  if (octets[end] === LF) return end + 1;
  if (octets[end] === CR && octets[end + 1] === LF) return end + 2;
  const open = end >= octets.length || (octets[end] === CR && end + 1 >= octets.length) || octets.length - at < 3;
  if (!open) return at + 1;
  if (!last) return end - at < MAX_HELD ? null : at + 1;
  // A sign at the very end is a soft line break whose line end was cut off.
  return end >= octets.length ? octets.length : at + 1;
}

function blankEnd(octets: Uint8Array, at: number, last: boolean): number | null {
  let end = at;
  while (end < octets.length && end - at < MAX_HELD && (octets[end] === SPACE || octets[end] === TAB)) end++;
  if (end - at >= MAX_HELD || last) return end;
  return end >= octets.length || (octets[end] === CR && end + 1 >= octets.length) ? null : end;
}

function isLineEnd(octets: Uint8Array, at: number): boolean {
  return at >= octets.length || octets[at] === LF || (octets[at] === CR && octets[at + 1] === LF);
}

function hex(octets: Uint8Array, at: number): number | null {
  const digits = String.fromCharCode(octets[at] ?? 0, octets[at + 1] ?? 0);
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : null;
}
