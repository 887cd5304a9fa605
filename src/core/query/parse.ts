/**
 * What a person types into a search box, as a query. Words stand for themselves wherever they are, in any order, and the last one
 * may be half typed. `or` joins its two neighbours, a hyphen before a word says that it must not be there, brackets group, and
 * `from:` and the like (operators.ts) say where. What is no operator is text; only what would find something else than was
 * meant is an error.
 */

import { err, ok, type Result } from "../result.ts";
import { MAX_QUERY_NESTING, MAX_QUERY_TEXT } from "./limits.ts";
import { OPERATORS, TEXT_OPERATORS } from "./operators.ts";
import type { QueryProblem } from "./prepare.ts";
import { ALL, ANYWHERE, and, NONE, not, or, phrase, type Query, type TextField } from "./query.ts";
import { hasWord } from "./tokens.ts";

/** @param fields of words without an operator. @param now unix milliseconds */
export function parseQuery(
  text: string,
  { now, fields = ANYWHERE }: { readonly now: number; readonly fields?: readonly TextField[] },
): Result<Query, QueryProblem> {
  if (text.length > MAX_QUERY_TEXT)
    return err({ kind: "too_large", message: `The search has more than ${MAX_QUERY_TEXT} characters: shorten it.` });
  const parser = new Parser(text.trimEnd(), now);
  const query = parser.sequence(fields);
  if (parser.problem !== null) return err({ kind: "invalid", message: parser.problem });
  // Punctuation alone is in no index.
  return ok(query ?? (text.trim() === "" ? ALL : NONE));
}

/** Words of one field as an API's parameter has them: no operators, `"phrases"`, the last word open. */
export function parseWords(text: string, fields: readonly TextField[]): Query {
  const found = [...text.matchAll(/"([^"]*)"|([^\s"]+)/g)];
  const words = found.flatMap((match, index) => {
    const word = match[1] ?? match[2] ?? "";
    return hasWord(word) ? [phrase(fields, word, index === found.length - 1 && match[1] === undefined)] : [];
  });
  return words.length > 0 ? and(...words) : text.trim() === "" ? ALL : NONE;
}

/** Null: nothing was said. */
type Said = Query | null;

class Parser {
  readonly #text: string;
  readonly #now: number;
  #at = 0;
  #depth = 0;
  /** The first thing that cannot be. */
  problem: string | null = null;

  constructor(text: string, now: number) {
    this.#text = text;
    this.#now = now;
  }

  /** Up to the end, or to the bracket that closes it. */
  sequence(fields: readonly TextField[]): Said {
    const said: Query[] = [];
    for (;;) {
      this.#space();
      if (this.#at >= this.#text.length || this.problem !== null) break;
      if (this.#text[this.#at] === ")") {
        if (this.#depth > 0) break;
        this.#at++;
        continue;
      }
      const alternatives = this.#alternatives(fields);
      if (alternatives) said.push(alternatives);
    }
    return said.length > 1 ? and(...said) : (said[0] ?? null);
  }

  #alternatives(fields: readonly TextField[]): Said {
    const said: Query[] = [];
    do {
      const one = this.#term(fields);
      if (one) said.push(one);
    } while (this.problem === null && this.#joins());
    return said.length > 1 ? or(...said) : (said[0] ?? null);
  }

  /** An `or` with something behind it; at an end, or before a bracket, there is nothing to join. */
  #joins(): boolean {
    const match = /^\s+(?:or|\|)\s+(?=[^\s)])/i.exec(this.#text.slice(this.#at, this.#at + 1_000));
    if (match) this.#at += match[0].length;
    return match !== null;
  }

  #term(fields: readonly TextField[]): Said {
    const text = this.#text;
    const negation = /^(?:-(?=[^\s-])|NOT\s+(?=\S))/.exec(text.slice(this.#at, this.#at + 1_000));
    if (negation) {
      this.#at += negation[0].length;
      const said = this.#term(fields);
      return said && not(closed(said));
    }
    if (text[this.#at] === "(") return this.#group(fields);
    if (text[this.#at] === '"') return this.#words(this.#quoted(), fields);
    const operator = /^([a-z0-9_-]{1,20}):/i.exec(text.slice(this.#at, this.#at + 25));
    const name = operator?.[1]?.toLowerCase() ?? "";
    const isKnown = Object.hasOwn(TEXT_OPERATORS, name) || Object.hasOwn(OPERATORS, name);
    if (operator && isKnown) {
      this.#at += operator[0].length;
      return this.#operator(name);
    }
    const word = this.#word();
    // What joins nothing is passed over; so is what is said anyway.
    if (word.text === "AND" || /^(?:or|\|)$/i.test(word.text)) return null;
    return this.#words(word, fields);
  }

  #group(fields: readonly TextField[]): Said {
    if (this.#depth >= MAX_QUERY_NESTING / 4) {
      this.problem ??= "The search is nested too deeply: say it with fewer brackets.";
      return null;
    }
    this.#at++;
    this.#depth++;
    const said = this.sequence(fields);
    this.#depth--;
    if (this.#text[this.#at] === ")") this.#at++;
    return said;
  }

  #operator(name: string): Said {
    this.#space();
    const fields = TEXT_OPERATORS[name];
    if (this.#at >= this.#text.length || this.#text[this.#at] === ")") {
      this.problem ??= `${name}: has nothing behind it: write what to look for, or put it in quotes to find the word.`;
      return null;
    }
    if (fields && this.#text[this.#at] === "(") return this.#group(fields);
    const value = this.#text[this.#at] === '"' ? this.#quoted() : this.#word();
    if (fields) return this.#words(value, fields);
    // header:list-id:"weekly news"
    const more = name === "header" && value.text.endsWith(":") && this.#text[this.#at] === '"';
    const query = OPERATORS[name]?.(more ? value.text + this.#quoted().text : value.text, this.#now);
    if (query?.ok) return query.value;
    this.problem ??= query?.error ?? `${name}: is not known.`;
    return null;
  }

  #words({ text, open }: { readonly text: string; readonly open: boolean }, fields: readonly TextField[]): Said {
    return hasWord(text) ? phrase(fields, text, open) : null;
  }

  /** Up to the other quotation mark; without one to the end, since it may be half typed. */
  #quoted(): { readonly text: string; readonly open: boolean } {
    const end = this.#text.indexOf('"', this.#at + 1);
    const text = this.#text.slice(this.#at + 1, end === -1 ? undefined : end);
    this.#at = end === -1 ? this.#text.length : end + 1;
    return { text, open: end === -1 };
  }

  /** Up to white space or the bracket that closes the group. An asterisk says that more may follow. */
  #word(): { readonly text: string; readonly open: boolean } {
    const end = this.#depth > 0 ? /[\s)]/g : /\s/g;
    // A quotation mark begins the value of `header:list-id:"…"`.
    const from = this.#at;
    end.lastIndex = from;
    const stop = end.exec(this.#text)?.index ?? this.#text.length;
    const quote = this.#text.indexOf(':"', from);
    this.#at = quote !== -1 && quote < stop ? quote + 1 : stop;
    const text = this.#text.slice(from, this.#at);
    return { text, open: this.#at >= this.#text.length || text.endsWith("*") };
  }

  #space(): void {
    while (this.#at < this.#text.length && /\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }
}

/** What must not be there is that word, not all that begin like it. */
function closed(query: Query): Query {
  if (query.kind === "text") return { ...query, open: query.text.endsWith("*") };
  if (query.kind === "and" || query.kind === "or") return { ...query, of: query.of.map(closed) };
  return query.kind === "not" ? { ...query, of: closed(query.of) } : query;
}
