/** What a person types into a search box: as words for the full text, and as a test of a message's columns. */
import type { MessageRow } from "../store/messages.ts";

/** `one "two three" fo` to `"one"`, `"two three"`, `"fo" *`, in FTS5's language. */
export function terms(text: string | undefined): string[] {
  return split(text).flatMap(({ word, open }) => {
    // A phrase without a letter or digit has no token and would match nothing.
    if (!/[\p{L}\p{N}\p{Co}]/u.test(word)) return [];
    return [open ? `${quote(word)} *` : quote(word)];
  });
}

export const quote = (word: string): string => `"${word.replaceAll('"', '""').replaceAll("\0", " ")}"`;

export interface ColumnFilter {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly subject?: string | undefined;
}

/** The full text knows that the words are in the head, not in which field: here each must be in its own. */
export function meets(row: Pick<MessageRow, "sender" | "subject" | "meta">, filter: ColumnFilter): boolean {
  const { to, cc, envelope } = row.meta;
  const addressees = [...to, ...cc].map(({ name, address }) => `${name} <${address}>`);
  return (
    has(row.sender, filter.from) &&
    has(row.subject, filter.subject) &&
    has([envelope.to, ...addressees].join("\n"), filter.to)
  );
}

function has(column: string, text: string | undefined): boolean {
  const folded = fold(column);
  return split(text).every(({ word }) => folded.includes(fold(word)));
}

/** `open`: the last word, of which only the beginning may have been typed. */
function split(text: string | undefined): { readonly word: string; readonly open: boolean }[] {
  const found = [...(text ?? "").matchAll(/"([^"]*)"|([^\s"]+)/g)];
  return found.map((match, index) => ({
    word: match[1] ?? match[2] ?? "",
    open: index === found.length - 1 && match[1] === undefined,
  }));
}

/** As the index does it (unicode61, remove_diacritics): no case, no accents. */
function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
