/** What a client reads of a FETCH response's data: lists, strings, literals, numbers (RFC 9051 §9). */
export type Value = string | number | null | Value[];

/** @throws where it is not IMAP */
export function readValue(text: string): Value {
  const reader = new Reader(text);
  const value = reader.value();
  if (!reader.ended) throw new Error(`more than one value: ${text.slice(0, 200)}`);
  return value;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get ended(): boolean {
    return this.#at === this.#text.length;
  }

  value(): Value {
    const rest = (pattern: RegExp) => {
      pattern.lastIndex = this.#at;
      const found = pattern.exec(this.#text);
      if (found) this.#at += found[0].length;
      return found;
    };
    if (rest(/\(/y)) return this.#list();
    if (rest(/NIL(?=[ )]|$)/y)) return null;
    const number = rest(/\d+(?=[ )]|$)/y);
    if (number) return Number(number[0]);
    const quoted = rest(/"((?:[^"\\\r\n\0\x80-\xff]|\\["\\])*)"/y);
    if (quoted) return (quoted[1] ?? "").replace(/\\(.)/g, "$1");
    const literal = rest(/\{(\d+)\}\r\n/y);
    if (!literal) throw new Error(`no value at ${this.#at}: ${this.#text.slice(this.#at, this.#at + 80)}`);
    const octets = this.#text.slice(this.#at, this.#at + Number(literal[1]));
    if (octets.length !== Number(literal[1]) || /\0/.test(octets)) throw new Error("a literal that is none");
    this.#at += octets.length;
    return octets;
  }

  #list(): Value[] {
    const list: Value[] = [];
    while (this.#text[this.#at] !== ")") {
      // Between bodies, and between addresses, there is no space.
      const glued = this.#text[this.#at] === "(" && Array.isArray(list.at(-1));
      if (list.length > 0 && !glued && this.#text[this.#at++] !== " ") throw new Error("no space between two values");
      list.push(this.value());
    }
    this.#at++;
    return list;
  }
}
