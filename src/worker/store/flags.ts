/** The bits of `placement.flags`: the system flags of RFC 9051 §2.3.2; keywords have a column of their own. */
export const SEEN = 1;
export const ANSWERED = 2;
export const FLAGGED = 4;
export const DRAFT = 8;
/** Marked for removal: such a message is no longer in the backlog, whether it was expunged yet or not. */
export const DELETED = 16;

/** All of them. */
export const ALL_FLAGS = SEEN | ANSWERED | FLAGGED | DRAFT | DELETED;

export interface Flags {
  readonly seen: boolean;
  readonly answered: boolean;
  readonly flagged: boolean;
  readonly draft: boolean;
  readonly deleted: boolean;
}

const BITS: readonly (readonly [keyof Flags, number])[] = [
  ["seen", SEEN],
  ["answered", ANSWERED],
  ["flagged", FLAGGED],
  ["draft", DRAFT],
  ["deleted", DELETED],
];

export function readFlags(bits: number): Flags {
  return {
    seen: (bits & SEEN) !== 0,
    answered: (bits & ANSWERED) !== 0,
    flagged: (bits & FLAGGED) !== 0,
    draft: (bits & DRAFT) !== 0,
    deleted: (bits & DELETED) !== 0,
  };
}

/** What to set and what to clear; a flag that is not named stays as it is. */
export function flagChange(wanted: { readonly [name in keyof Flags]?: boolean | undefined }): {
  readonly add: number;
  readonly remove: number;
} {
  let add = 0;
  let remove = 0;
  for (const [name, bit] of BITS) {
    if (wanted[name] === true) add |= bit;
    if (wanted[name] === false) remove |= bit;
  }
  return { add, remove };
}

/** Keywords as the column has them: JSON, each once, in order; null for none. */
export function keywordsColumn(keywords: Iterable<string>): string | null {
  const list = [...new Set(keywords)].sort();
  return list.length === 0 ? null : JSON.stringify(list);
}

export function readKeywords(column: string | null): string[] {
  return column === null ? [] : (JSON.parse(column) as string[]);
}
