/** Filter and order of Email/query (RFC 8621 §4.4.1, §4.4.2) as the query that every search is. */
import { z } from "zod";
import { MAX_QUERY_NESTING } from "../../query/limits.ts";
import { parseWords } from "../../query/parse.ts";
import {
  ALL,
  and,
  type FlagCondition,
  type KeywordCondition,
  not,
  or,
  type Query,
  type TextField,
} from "../../query/query.ts";
import type { SortKey } from "../../query/sort.ts";
import { err, ok, type Result } from "../../result.ts";

/** A method-level error of RFC 8620 §5.5. */
export interface EmailQueryError {
  readonly type: "invalidArguments" | "unsupportedFilter" | "unsupportedSort";
  /** For whoever writes the client. */
  readonly description: string;
}

const Utc = z.iso.datetime().transform((text) => Date.parse(text));
const Size = z.int().min(0);

const FilterCondition = z.strictObject({
  inMailbox: z.string().optional(),
  inMailboxOtherThan: z.array(z.string()).optional(),
  before: Utc.optional(),
  after: Utc.optional(),
  minSize: Size.optional(),
  maxSize: Size.optional(),
  allInThreadHaveKeyword: z.string().optional(),
  someInThreadHaveKeyword: z.string().optional(),
  noneInThreadHaveKeyword: z.string().optional(),
  hasKeyword: z.string().optional(),
  notKeyword: z.string().optional(),
  hasAttachment: z.boolean().optional(),
  text: z.string().optional(),
  from: z.string().optional(),
  to: z.string().optional(),
  cc: z.string().optional(),
  bcc: z.string().optional(),
  subject: z.string().optional(),
  body: z.string().optional(),
  header: z.array(z.string()).min(1).max(2).optional(),
});

const FilterOperator = z.strictObject({ operator: z.enum(["AND", "OR", "NOT"]), conditions: z.array(z.unknown()) });

/** The fields that a text is looked for in. */
const FIELDS = {
  text: ["from", "to", "cc", "bcc", "subject", "body"],
  from: ["from"],
  to: ["to"],
  cc: ["cc"],
  bcc: ["bcc"],
  subject: ["subject"],
  body: ["body"],
} as const satisfies Record<string, readonly TextField[]>;

/** RFC 8621 §4.1.1. */
const FLAGS: Readonly<Record<string, FlagCondition["flag"]>> = {
  $seen: "seen",
  $answered: "answered",
  $flagged: "flagged",
  $draft: "draft",
};

export type FolderOf = (id: string) => number | "archive" | null;

/**
 * @param filter as it came
 * @param folderOf the number of the folder that a Mailbox's id names, `archive` where it is the archive's; null: the account has
 * none such
 * @returns not yet in its simplest form (query/prepare.ts)
 */
export function filterQuery(filter: unknown, folderOf: FolderOf): Result<Query, EmailQueryError> {
  if (filter === null || filter === undefined) return ok(ALL);
  return queryOf(filter, folderOf, 0);
}

function queryOf(filter: unknown, folderOf: FolderOf, depth: number): Result<Query, EmailQueryError> {
  if (depth > MAX_QUERY_NESTING)
    return err({ type: "unsupportedFilter", description: `The filter has more than ${MAX_QUERY_NESTING} levels.` });
  if (typeof filter !== "object" || filter === null || !("operator" in filter)) return conditionOf(filter, folderOf);
  const parsed = FilterOperator.safeParse(filter);
  if (!parsed.success) return invalid(parsed.error);
  const of: Query[] = [];
  for (const one of parsed.data.conditions) {
    const query = queryOf(one, folderOf, depth + 1);
    if (!query.ok) return query;
    of.push(query.value);
  }
  if (parsed.data.operator === "AND") return ok(and(...of));
  return ok(parsed.data.operator === "OR" ? or(...of) : not(or(...of)));
}

/** Each property that is given must be met. */
function conditionOf(filter: unknown, folderOf: FolderOf): Result<Query, EmailQueryError> {
  const parsed = FilterCondition.safeParse(filter);
  if (!parsed.success) return invalid(parsed.error);
  const given = parsed.data;
  const of: Query[] = [];
  if (given.inMailbox !== undefined) {
    const folder = folderOf(given.inMailbox);
    of.push(folder === "archive" ? ARCHIVED : { kind: "folder", among: folder === null ? [] : [folder] });
  }
  if (given.inMailboxOtherThan) {
    const folders = given.inMailboxOtherThan.map(folderOf);
    const elsewhere: Query = { kind: "folder", except: folders.filter((folder) => typeof folder === "number") };
    of.push(folders.includes("archive") ? elsewhere : or(ARCHIVED, elsewhere));
  }
  if (given.before !== undefined) of.push({ kind: "arrived", before: given.before });
  if (given.after !== undefined) of.push({ kind: "arrived", since: given.after });
  if (given.minSize !== undefined) of.push({ kind: "size", atLeast: given.minSize });
  if (given.maxSize !== undefined) of.push({ kind: "size", below: given.maxSize });
  const inThread = (of: "some" | "every", keyword: string): Query => ({
    kind: "conversation",
    of,
    is: keywordOf(keyword),
  });
  if (given.allInThreadHaveKeyword !== undefined) of.push(inThread("every", given.allInThreadHaveKeyword));
  if (given.someInThreadHaveKeyword !== undefined) of.push(inThread("some", given.someInThreadHaveKeyword));
  if (given.noneInThreadHaveKeyword !== undefined) of.push(not(inThread("some", given.noneInThreadHaveKeyword)));
  if (given.hasKeyword !== undefined) of.push(keywordOf(given.hasKeyword));
  if (given.notKeyword !== undefined) of.push(not(keywordOf(given.notKeyword)));
  if (given.hasAttachment !== undefined)
    of.push(given.hasAttachment ? { kind: "attachment" } : not({ kind: "attachment" }));
  for (const [name, fields] of Object.entries(FIELDS)) {
    const text = given[name as keyof typeof FIELDS];
    if (text !== undefined) of.push(parseWords(text, fields));
  }
  const [name, text] = given.header ?? [];
  if (name !== undefined) of.push({ kind: "header", name, text: text ?? null, open: false });
  return ok(of.length === 0 ? ALL : and(...of));
}

const ARCHIVED: Query = { kind: "archived" };

/** What a message that is nowhere has: read, and nothing else. */
function keywordOf(keyword: string): FlagCondition | KeywordCondition {
  const flag = FLAGS[keyword.toLowerCase()];
  return flag === undefined ? { kind: "keyword", keyword } : { kind: "flag", flag };
}

const Comparator = z.strictObject({
  property: z.string(),
  isAscending: z.boolean().default(true),
  collation: z.string().optional(),
  /** Of those that need one. */
  keyword: z.string().optional(),
});

const PROPERTIES: Readonly<Record<string, SortKey>> = {
  receivedAt: { by: "arrival" },
  sentAt: { by: "date" },
  size: { by: "size" },
  subject: { by: "subject" },
  from: { by: "from", as: "name" },
  to: { by: "to", as: "name" },
};

/** What the session tells (RFC 8621 §1.3.1, emailQuerySortOptions). */
export const EMAIL_SORT_OPTIONS: readonly string[] = Object.keys(PROPERTIES);

/** @param sort as it came */
export function sortKeys(sort: unknown): Result<readonly SortKey[], EmailQueryError> {
  const parsed = z.array(Comparator).nullish().safeParse(sort);
  if (!parsed.success) return invalid(parsed.error);
  const keys: SortKey[] = [];
  for (const { property, isAscending } of parsed.data ?? []) {
    const key = Object.hasOwn(PROPERTIES, property) ? PROPERTIES[property] : undefined;
    if (!key)
      return err({
        type: "unsupportedSort",
        description: `${property} is no order: ${EMAIL_SORT_OPTIONS.join(", ")} are.`,
      });
    keys.push({ ...key, descending: !isAscending });
  }
  return ok(keys);
}

function invalid({ issues }: z.ZodError): Result<never, EmailQueryError> {
  const [issue] = issues;
  // A condition that is not known may be one of a later standard (RFC 8620 §5.5).
  const type = issue?.code === "unrecognized_keys" ? "unsupportedFilter" : "invalidArguments";
  return err({ type, description: `${issue?.path.join(".") || "filter"}: ${issue?.message ?? "cannot be read"}` });
}
