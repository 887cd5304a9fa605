/** The words before a colon that a search box knows, and what each makes of what stands behind it. */
import { err, ok, type Result } from "../result.ts";
import { ADDRESSEES, ALL, type Flag, not, or, phrase, type Query, type Span, type TextField } from "./query.ts";
import { type Period, readAge, readPeriod, readSize } from "./values.ts";

/** Fields of text: `from:ann`, `subject:"annual report"`. */
export const TEXT_OPERATORS: Readonly<Record<string, readonly TextField[]>> = {
  from: ["from"],
  to: ADDRESSEES,
  cc: ["cc"],
  bcc: ["bcc"],
  subject: ["subject"],
  body: ["body"],
  attachment: ["attachment"],
  filename: ["attachment"],
};

/** @returns what is asked for, or a sentence that says what to write. @param now unix milliseconds */
type Operator = (value: string, now: number) => Result<Query, string>;

const FLAGS: Readonly<Record<string, readonly [Flag, boolean]>> = {
  read: ["seen", true],
  seen: ["seen", true],
  unread: ["seen", false],
  unseen: ["seen", false],
  flagged: ["flagged", true],
  starred: ["flagged", true],
  unflagged: ["flagged", false],
  answered: ["answered", true],
  replied: ["answered", true],
  unanswered: ["answered", false],
  draft: ["draft", true],
  deleted: ["deleted", true],
};

function is(value: string): Result<Query, string> {
  const name = value.toLowerCase();
  const flag = FLAGS[name];
  if (flag) {
    const query: Query = { kind: "flag", flag: flag[0] };
    return ok(flag[1] ? query : not(query));
  }
  if (name === "forwarded") return ok({ kind: "keyword", keyword: "$Forwarded" });
  if (name === "incoming" || name === "received") return ok({ kind: "direction", direction: "in" });
  if (name === "outgoing" || name === "sent") return ok({ kind: "direction", direction: "out" });
  const known = `${Object.keys(FLAGS).join(", ")}, forwarded, incoming or outgoing`;
  return err(`is:${value} is nothing that mail can be: write is: and one of ${known}.`);
}

function has(value: string): Result<Query, string> {
  if (/^(?:an?-)?(?:attachments?|files?)$/i.test(value)) return ok({ kind: "attachment" });
  return err(`has:${value} is not known: write has:attachment.`);
}

/** All that came and went is in the archive, which is no folder like the others. */
function folder(value: string): Result<Query, string> {
  if (/^(?:anywhere|all)$/i.test(value)) return ok(ALL);
  if (/^archive$/i.test(value)) return ok({ kind: "archived" });
  return ok({ kind: "folder", called: value });
}

function date(name: string, span: (period: Period) => Span, kind: "arrived" | "sent"): Operator {
  return (value, now) => {
    const period = readPeriod(value, now);
    if (period) return ok({ kind, ...span(period) });
    return err(`${name}:${value} is no date: write ${name}: and 2026-11-24, 2026-11, 2026, today or yesterday.`);
  };
}

const BEFORE = ({ from }: Period): Span => ({ before: from });
const SINCE = ({ from }: Period): Span => ({ since: from });
/** Of an instant, its second. */
const DURING = ({ from, to }: Period): Span => ({ since: from, before: Math.max(to, from + 1000) });

function age(name: string, span: (at: number) => Span): Operator {
  return (value, now) => {
    const length = readAge(value);
    if (length !== null) return ok({ kind: "arrived", ...span(now - length) });
    return err(`${name}:${value} is no length of time: write ${name}: and 12h, 7d, 2w, 3m or 1y.`);
  };
}

function size(name: string, query: (octets: number) => Query): Operator {
  return (value) => {
    const octets = readSize(value);
    return octets === null
      ? err(`${name}:${value} is no size: write ${name}: and 500k, 5M or 1.5M.`)
      : ok(query(octets));
  };
}

/** `header:list-id:news`; without a second colon, that the field is there. */
function header(value: string): Result<Query, string> {
  const match = /^([!-9;-~]+)(?::(.*))?$/s.exec(value);
  if (!match) return err(`header:${value} is no header field: write header:list-id:news, or header:list-id.`);
  return ok({ kind: "header", name: match[1] ?? "", text: match[2] ?? null, open: false });
}

const messageId: Operator = (value) => ok({ kind: "messageId", id: value.replace(/^<|>$/g, "") });
const sizes = {
  larger: (name: string) => size(name, (octets) => ({ kind: "size", atLeast: octets })),
  smaller: (name: string) => size(name, (octets) => ({ kind: "size", below: octets })),
};

export const OPERATORS: Readonly<Record<string, Operator>> = {
  is,
  has,
  in: folder,
  folder,
  before: date("before", BEFORE, "arrived"),
  until: date("until", BEFORE, "arrived"),
  since: date("since", SINCE, "arrived"),
  after: date("after", SINCE, "arrived"),
  on: date("on", DURING, "arrived"),
  date: date("date", DURING, "arrived"),
  "sent-before": date("sent-before", BEFORE, "sent"),
  "sent-since": date("sent-since", SINCE, "sent"),
  "sent-on": date("sent-on", DURING, "sent"),
  newer: age("newer", (at) => ({ since: at })),
  newer_than: age("newer_than", (at) => ({ since: at })),
  older: age("older", (at) => ({ before: at })),
  older_than: age("older_than", (at) => ({ before: at })),
  larger: sizes.larger("larger"),
  bigger: sizes.larger("bigger"),
  smaller: sizes.smaller("smaller"),
  header,
  list: (value) => ok({ kind: "header", name: "list-id", text: value, open: false }),
  "message-id": messageId,
  rfc822msgid: messageId,
  keyword: (value) => ok({ kind: "keyword", keyword: value }),
  with: (value) => ok(or(phrase(["from"], value), phrase(ADDRESSEES, value))),
};

/** What the search box can be told, for the help beside it. */
export const EXAMPLES: readonly (readonly [string, string])[] = [
  ["annual report", "both words, anywhere"],
  ['"annual report"', "these words next to each other"],
  ["invoice -draft", "the first and not the second"],
  ["ann or bob", "one of them, or both"],
  ["from:ann to:bob", "who wrote it, and to whom"],
  ['subject:"annual report"', "in the subject alone"],
  ["has:attachment filename:pdf", "with something attached"],
  ["since:2026-10-01 before:2026-11", "by when it was received"],
  ["newer:7d", "of the last seven days"],
  ["larger:5M", "by its size"],
  ["is:unread is:flagged in:inbox", "by its place in a mailbox"],
  ["is:outgoing", "sent, not received"],
];
