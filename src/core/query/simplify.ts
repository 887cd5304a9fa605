/** A query in its simplest form: `not` stands before conditions alone, nothing is nested without need, nothing is said twice. */
import { fieldWords } from "./header-words.ts";
import { ALL, NONE, type Query, type TextField } from "./query.ts";
import { hasWord } from "./tokens.ts";

export const simplify = (query: Query): Query => positive(query, false);

function positive(query: Query, negated: boolean): Query {
  switch (query.kind) {
    case "all":
      return negated ? NONE : ALL;
    case "none":
      return negated ? ALL : NONE;
    case "not":
      return positive(query.of, !negated);
    case "and":
    case "or":
      return joined(
        (query.kind === "and") !== negated ? "and" : "or",
        query.of.map((one) => positive(one, negated)),
      );
    default: {
      const one = plain(query);
      if (one.kind === "all" || one.kind === "none") return positive(one, negated);
      return negated ? { kind: "not", of: one } : one;
    }
  }
}

/** The neutral one of the two goes, the other one decides. */
function joined(kind: "and" | "or", of: readonly Query[]): Query {
  const [neutral, decides] = kind === "and" ? [ALL, NONE] : [NONE, ALL];
  const flat = of.flatMap((one) => (one.kind === kind ? one.of : [one]));
  if (flat.some((one) => one.kind === decides.kind)) return decides;
  const distinct = new Map<string, Query>();
  for (const one of flat) if (one.kind !== neutral.kind) distinct.set(JSON.stringify(one), one);
  const left = [...distinct.values()];
  if (left.length === 0) return neutral;
  return left.length === 1 ? (left[0] ?? neutral) : { kind, of: left };
}

/** Fields of the header whose words have a place of their own. */
const OWN: Readonly<Record<string, TextField>> = { from: "from", to: "to", cc: "cc", bcc: "bcc", subject: "subject" };

/** What one condition comes to: an empty text is in everything (RFC 9051 §6.4.4), one without a word in nothing. */
function plain(query: Exclude<Query, { kind: "all" | "none" | "and" | "or" | "not" }>): Query {
  switch (query.kind) {
    case "text":
      if (query.text.trim() === "") return ALL;
      return query.fields.length > 0 && hasWord(query.text) ? query : NONE;
    case "header": {
      const text = query.text?.trim() === "" ? null : query.text;
      const name = query.name.toLowerCase();
      const own = OWN[name];
      // The whole of it is the message's name.
      if (text !== null && name === "message-id") return { kind: "messageId", id: text.trim().replace(/^<|>$/g, "") };
      if (text !== null && own !== undefined) return plain({ kind: "text", fields: [own], text, open: query.open });
      return fieldWords(name, text) === null ? NONE : { ...query, name, text };
    }
    case "arrived":
    case "sent":
      if (query.since === undefined && query.before === undefined) return ALL;
      return (query.since ?? -Infinity) < (query.before ?? Infinity) ? query : NONE;
    case "size":
      if (query.atLeast === undefined && query.below === undefined) return ALL;
      return (query.atLeast ?? 0) < (query.below ?? Infinity) ? query : NONE;
    case "folder":
      return "among" in query && query.among.length === 0 ? NONE : query;
    case "uids":
      return query.ranges.some(([from, to]) => from <= to) ? query : NONE;
    default:
      return query;
  }
}
