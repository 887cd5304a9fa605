/** What a query means, in plain TypeScript over messages in memory: nothing of what it is compared with, but for words. */
import type { Condition, Flag, Query, TextField } from "../../../src/core/query/query.ts";
import { wordsOf } from "../../../src/core/query/tokens.ts";

export interface Place {
  readonly folder: number;
  /** Its folder's role and name, in lower case. */
  readonly called: readonly string[];
  readonly uid: number;
  readonly flags: ReadonlySet<Flag>;
  readonly keywords: readonly string[];
  readonly modseq: number;
  readonly gone: boolean;
  /** Unix milliseconds, where it differs from the message's arrival. */
  readonly internalAt: number | null;
}

export interface Message {
  readonly account: number;
  readonly domain: number;
  readonly number: number;
  /** In the archive folder; 0: its owner put it into a folder, and the archive does not have it. */
  readonly uid: number;
  readonly fields: Readonly<Record<Exclude<TextField, "attachment">, string>>;
  readonly attachments: readonly string[];
  /** Of other fields than those. */
  readonly headers: readonly (readonly [string, string])[];
  readonly at: number;
  readonly date: number | null;
  readonly size: number;
  readonly direction: "in" | "out";
  readonly thread: number;
  readonly messageId: string;
  readonly places: readonly Place[];
}

/** @param all mail, for conversations; @param place in a search through one folder, the message's place there */
export function meets(query: Query, message: Message, place: Place | null, all: readonly Message[] = []): boolean {
  switch (query.kind) {
    case "all":
      return true;
    case "none":
      return false;
    case "and":
      return query.of.every((one) => meets(one, message, place, all));
    case "or":
      return query.of.some((one) => meets(one, message, place, all));
    case "not":
      return !meets(query.of, message, place, all);
    default:
      return holds(query, message, place, all);
  }
}

function holds(one: Condition, message: Message, place: Place | null, all: readonly Message[]): boolean {
  const shown = message.places.filter(({ gone, flags }) => !gone && !flags.has("deleted"));
  const here = place ? [place] : shown;
  const during = (at: number, { since = -Infinity, before = Infinity }) => at >= since && at < before;
  switch (one.kind) {
    case "text":
      return (
        one.text.trim() === "" ||
        one.fields.some((field) => textsOf(message, field).some((text) => has(text, one.text, one.open)))
      );
    case "header": {
      const values = message.headers.filter(([name]) => name.toLowerCase() === one.name.toLowerCase());
      const text = one.text?.trim() ? one.text : null;
      return values.some(([, value]) => text === null || has(value, text, one.open));
    }
    case "attachment":
      return message.attachments.length > 0;
    case "arrived":
      return during(place?.internalAt ?? message.at, one);
    case "sent":
      return during(message.date ?? message.at, one);
    case "size":
      return message.size >= (one.atLeast ?? 0) && message.size < (one.below ?? Infinity);
    case "flag":
      if (place) return place.flags.has(one.flag);
      if (one.flag === "seen") return shown.every(({ flags }) => flags.has("seen"));
      if (one.flag === "deleted") return message.places.some(({ gone, flags }) => !gone && flags.has("deleted"));
      return shown.some(({ flags }) => flags.has(one.flag));
    case "keyword":
      return here.some(({ keywords }) => keywords.some((each) => each.toLowerCase() === one.keyword.toLowerCase()));
    case "folder":
      if ("among" in one) return shown.some(({ folder }) => one.among.includes(folder));
      if ("except" in one) return shown.some(({ folder }) => !one.except.includes(folder));
      return shown.some(({ called }) => called.includes(one.called.toLowerCase()));
    case "archived":
      return message.uid > 0;
    case "direction":
      return message.uid > 0 && message.direction === one.direction;
    case "thread":
      return message.thread === one.thread;
    case "conversation": {
      const those = all.filter(({ account, thread }) => account === message.account && thread === message.thread);
      return one.of === "some"
        ? those.some((each) => holds(one.is, each, null, all))
        : those.every((each) => holds(one.is, each, null, all));
    }
    case "messageId":
      return message.messageId === one.id;
    case "uids": {
      const number = place?.uid ?? message.uid;
      return one.ranges.some(([from, to]) => number >= from && number <= to);
    }
    case "modseq":
      return here.some(({ modseq }) => modseq >= one.atLeast);
  }
}

const textsOf = (message: Message, field: TextField): readonly string[] =>
  field === "attachment" ? [message.attachments.join("\n")] : [message.fields[field]];

/** The words next to each other; of the last one the beginning, where it is open. */
function has(text: string, wanted: string, open: boolean): boolean {
  const [there, words] = [wordsOf(text), wordsOf(wanted)];
  if (words.length === 0) return false;
  return there.some((_, from) =>
    words.every((word, index) => {
      const other = there[from + index];
      return open && index === words.length - 1 ? other?.startsWith(word) === true : other === word;
    }),
  );
}
