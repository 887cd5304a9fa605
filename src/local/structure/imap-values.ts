/** What an IMAP server answers to FETCH, as values (RFC 9051 §9). One character for each octet. */

export type ImapValue = string | number | null | ImapValue[];

/** @returns the items of each message by its sequence number, names in upper case */
export function fetched(answer: string): Map<number, ReadonlyMap<string, ImapValue>> {
  const messages = new Map<number, ReadonlyMap<string, ImapValue>>();
  const untagged = /^\* (\d+) FETCH /gm;
  for (let found = untagged.exec(answer); found; found = untagged.exec(answer)) {
    const { value, end } = read(answer, untagged.lastIndex);
    untagged.lastIndex = end;
    const items = new Map<string, ImapValue>();
    const list = Array.isArray(value) ? value : [];
    for (let at = 0; at < list.length; at += 2) items.set(String(list[at]).toUpperCase(), list[at + 1] ?? null);
    messages.set(Number(found[1]), items);
  }
  return messages;
}

/** @throws where there is no value */
export function readValue(text: string): ImapValue {
  return read(text, 0).value;
}

interface Found {
  readonly value: ImapValue;
  /** Behind it. */
  readonly end: number;
}

function read(text: string, at: number): Found {
  const first = text[at];
  if (first === "(") return readList(text, at + 1);
  if (first === '"') return readQuoted(text, at + 1);
  const literal = /^\{(\d+)\}\r\n/.exec(text.slice(at, at + 20));
  if (literal) {
    const from = at + literal[0].length;
    const end = from + Number(literal[1]);
    return { value: text.slice(from, end), end };
  }
  const atom = /^[^\s()"{]+/.exec(text.slice(at, at + 100))?.[0];
  if (atom === undefined) throw new Error(`no IMAP value: ${JSON.stringify(text.slice(at, at + 40))}`);
  return { value: atom === "NIL" ? null : /^\d+$/.test(atom) ? Number(atom) : atom, end: at + atom.length };
}

function readList(text: string, from: number): Found {
  const value: ImapValue[] = [];
  let at = from;
  while (text[at] !== ")") {
    if (text[at] === " ") {
      at++;
      continue;
    }
    const one = read(text, at);
    value.push(one.value);
    at = one.end;
  }
  return { value, end: at + 1 };
}

function readQuoted(text: string, from: number): Found {
  let value = "";
  let at = from;
  for (; at < text.length && text[at] !== '"'; at++) {
    if (text[at] === "\\") at++;
    value += text[at] ?? "";
  }
  return { value, end: at + 1 };
}
