/** Where the words of a search stand in a text that is shown; search snippets (RFC 8621 §5). */
import type { Query, TextField } from "./query.ts";
import { type Token, tokens, wordsOf } from "./tokens.ts";

/** Words next to each other that were looked for. */
export interface Needle {
  readonly words: readonly string[];
  /** Of the last one the beginning. */
  readonly open: boolean;
}

/** A piece of a text; `hit`: it is what was looked for. */
export interface Piece {
  readonly text: string;
  readonly hit: boolean;
}

/** What must or may occur in one of the fields; not what must not. */
export function needlesOf(query: Query, fields: readonly TextField[]): Needle[] {
  if (query.kind === "and" || query.kind === "or") return query.of.flatMap((one) => needlesOf(one, fields));
  if (query.kind !== "text" || !query.fields.some((field) => fields.includes(field))) return [];
  const words = wordsOf(query.text);
  return words.length > 0 ? [{ words, open: query.open }] : [];
}

interface Hit {
  readonly from: number;
  readonly to: number;
  readonly needle: number;
}

/** In the order of the text; one may overlap another. */
function hitsIn(text: string, needles: readonly Needle[]): Hit[] {
  const there: Token[] = [...tokens(text)];
  const hits: Hit[] = [];
  const byFirst = new Map<string, number[]>();
  const opened: number[] = [];
  for (const [index, { words, open }] of needles.entries()) {
    if (open && words.length === 1) opened.push(index);
    else byFirst.set(words[0] ?? "", [...(byFirst.get(words[0] ?? "") ?? []), index]);
  }
  for (const [at, token] of there.entries()) {
    for (const index of [...(byFirst.get(token.word) ?? []), ...opened]) {
      const needle = needles[index];
      if (!needle || !matches(there, at, needle)) continue;
      const last = there[at + needle.words.length - 1] ?? token;
      hits.push({ from: token.from, to: last.to, needle: index });
    }
  }
  return hits;
}

const matches = (there: readonly Token[], at: number, { words, open }: Needle): boolean =>
  words.every((word, index) => {
    const other = there[at + index]?.word;
    return open && index === words.length - 1 ? other?.startsWith(word) === true : other === word;
  });

/** Whether each of them occurs. */
export function hasAll(text: string, needles: readonly Needle[]): boolean {
  return new Set(hitsIn(text, needles).map(({ needle }) => needle)).size === needles.length;
}

/** The whole text in pieces; null where nothing in it was looked for. */
export function highlighted(text: string, needles: readonly Needle[]): Piece[] | null {
  const hits = hitsIn(text, needles);
  return hits.length === 0 ? null : cut(text, hits, 0, text.length);
}

/** UTF-16 units before the first hit that are shown: a telephone's line has 40. */
const LEAD = 20;
/** Hits among which the densest place is looked for: each is compared with each. */
const MAX_HITS = 300;

/**
 * That part of a text where most of what was looked for stands, at most so long; white space is one space.
 * @param length UTF-16 units
 * @returns null where nothing in it was looked for
 */
export function excerpt(text: string, needles: readonly Needle[], length: number): Piece[] | null {
  const folded = text.replace(/\s+/g, " ").trim();
  const hits = hitsIn(folded, needles).slice(0, MAX_HITS);
  const first = hits[0];
  if (!first) return null;
  let best = { from: first.from, count: 0 };
  for (const { from } of hits) {
    const within = new Set(
      hits.filter((hit) => hit.from >= from && hit.to <= from + length - LEAD).map((hit) => hit.needle),
    );
    if (within.size > best.count) best = { from, count: within.size };
  }
  const from = wordBefore(folded, Math.max(0, best.from - LEAD), best.from);
  const to = wordAfter(folded, Math.min(folded.length, from + length), best.from);
  return [
    ...(from > 0 ? [{ text: "\u2026", hit: false }] : []),
    ...cut(folded, hits, from, to),
    ...(to < folded.length ? [{ text: "\u2026", hit: false }] : []),
  ];
}

/** The beginning of the first whole word from there on, before the hit. */
function wordBefore(text: string, at: number, hit: number): number {
  if (at === 0) return 0;
  const space = text.indexOf(" ", at);
  return space === -1 || space >= hit ? hit : space + 1;
}

function wordAfter(text: string, at: number, hit: number): number {
  if (at === text.length) return at;
  const space = text.lastIndexOf(" ", at);
  const end = space <= hit ? at : space;
  // Not between the halves of one character.
  return /[\udc00-\udfff]/.test(text[end] ?? "") ? end - 1 : end;
}

function cut(text: string, hits: readonly Hit[], from: number, to: number): Piece[] {
  const pieces: Piece[] = [];
  let at = from;
  const push = (end: number, hit: boolean) => {
    if (end <= at) return;
    pieces.push({ text: text.slice(at, end), hit });
    at = end;
  };
  for (const hit of [...hits].sort((a, b) => a.from - b.from || b.to - a.to)) {
    if (hit.to <= at || hit.from >= to) continue;
    push(Math.max(at, hit.from), false);
    push(Math.min(hit.to, to), true);
  }
  push(to, false);
  return pieces;
}

/** As HTML, with `<mark>` around what was looked for (RFC 8621 §5): whatever is in the mail is text. */
export function markup(pieces: readonly Piece[]): string {
  return pieces.map(({ text, hit }) => (hit ? `<mark>${escaped(text)}</mark>` : escaped(text))).join("");
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
