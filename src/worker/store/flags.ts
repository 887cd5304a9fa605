/** The bits of `placement.flags`: the system flags of RFC 9051 §2.3.2; keywords have a column of their own. */
export const SEEN = 1;
export const ANSWERED = 2;
export const FLAGGED = 4;
export const DRAFT = 8;
/** Marked for removal: such a message is no longer in the backlog, whether it was expunged yet or not. */
export const DELETED = 16;

export interface Flags {
  readonly seen: boolean;
  readonly answered: boolean;
  readonly flagged: boolean;
  readonly draft: boolean;
  readonly deleted: boolean;
}

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
export function flagChange(wanted: Partial<Flags>): { readonly add: number; readonly remove: number } {
  let add = 0;
  let remove = 0;
  const bits: readonly (readonly [keyof Flags, number])[] = [
    ["seen", SEEN],
    ["answered", ANSWERED],
    ["flagged", FLAGGED],
    ["draft", DRAFT],
    ["deleted", DELETED],
  ];
  for (const [name, bit] of bits) {
    if (wanted[name] === true) add |= bit;
    if (wanted[name] === false) remove |= bit;
  }
  return { add, remove };
}
