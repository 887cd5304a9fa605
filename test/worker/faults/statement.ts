/** What a call to D1 does, in words: `reads placement, message`, `writes account, placement`. */

const WRITES = /\b(?:insert\s+into|update|delete\s+from)\s+"?(\w+)"?/gi;
const READS = /\b(?:from|join)\s+"?(\w+)"?/gi;
/** Names that a statement defines for itself, and functions that give rows. */
const OWN_NAMES = /\bwith\s+(?:recursive\s+)?(\w+)/i;
const FUNCTIONS = new Set(["json_each", "json_tree"]);
/** `UPDATE SET` is the second half of an upsert, not a table. */
const KEYWORDS = new Set(["set"]);

/** @param statements SQL; those of a batch are one call */
export function describeStatements(statements: readonly string[]): string {
  const written = new Set(statements.flatMap((sql) => namesIn(sql, WRITES)));
  if (written.size > 0) return `writes ${[...written].join(", ")}`;
  return `reads ${[...new Set(statements.flatMap((sql) => namesIn(sql, READS)))].join(", ")}`;
}

export function isWrite(sql: string): boolean {
  return namesIn(sql, WRITES).length > 0;
}

function namesIn(sql: string, pattern: RegExp): string[] {
  const own = OWN_NAMES.exec(sql)?.[1];
  return [...sql.matchAll(pattern)]
    .map((match) => match[1]?.toLowerCase() ?? "")
    .filter((name) => name !== own?.toLowerCase() && !FUNCTIONS.has(name) && !KEYWORDS.has(name));
}
