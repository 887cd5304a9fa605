/**
 * Words as the full-text index has them: FTS5's unicode61 with `remove_diacritics 2`. Letters, digits and private characters make
 * a word; case and accents make no difference. For what is decided outside the index: whether a text has a word at all, and
 * where it stands in a text that is shown.
 */

export interface Token {
  /** Folded. */
  readonly word: string;
  /** UTF-16 offsets in the text. */
  readonly from: number;
  readonly to: number;
}

/** A combining accent goes on with a word and does not begin one. */
const WORD = /[\p{L}\p{N}\p{Co}](?:[\p{L}\p{N}\p{Co}]|[\u0300-\u0331])*/gu;
const ACCENTS = /\p{Mn}/gu;
/** Where Unicode's case folding and lower case differ, of letters that are met. */
const FOLDED: Readonly<Record<string, string>> = { "\u03c2": "\u03c3", "\u017f": "s", "\u00b5": "\u03bc" };

export function* tokens(text: string): Generator<Token> {
  for (const match of text.matchAll(WORD)) {
    const [word] = match;
    yield { word: fold(word), from: match.index, to: match.index + word.length };
  }
}

export const wordsOf = (text: string): string[] => Array.from(tokens(text), ({ word }) => word);

export const hasWord = (text: string): boolean => /[\p{L}\p{N}\p{Co}]/u.test(text);

function fold(word: string): string {
  if (/^[\x00-\x7f]*$/.test(word)) return word.toLowerCase();
  let folded = "";
  for (const char of word) {
    const plain = isHangul(char) ? char : char.normalize("NFD").replace(ACCENTS, "");
    const lower = plain.toLowerCase().replace(ACCENTS, "");
    folded += FOLDED[lower] ?? lower;
  }
  return folded;
}

/** Its canonical parts are letters, not accents. */
const isHangul = (char: string): boolean => char >= "\uac00" && char <= "\ud7a3";
