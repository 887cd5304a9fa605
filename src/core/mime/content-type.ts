/** Content-Type, Content-Disposition and Content-Transfer-Encoding as far as a message's structure depends on them. */

export interface StructuredField {
  /** Lower case, such as `text/plain` or `attachment`; empty where there is none. */
  readonly value: string;
  /** The first of each name (lower case); RFC 2231's continuations are left as they stand. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Longer ones are made to cost time; no real one is. */
const MAX_FIELD = 16 * 1024;
const PARAMETER =
  /;?\s*([^\s=;"()<>@,]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;]*)((?:[ \t]+(?![ \t]|[^\s=;]*\s*=)[^\s;]+)*))/gs;
/** Parameters that people put file names into, white space and all, without the quotes that are due. */
const NAMES = /^(?:file)?name\b/;
const VALUE = /^[\s"]*([^\s;"=]+)(?=[\s;"]|$)/;

/**
 * RFC 2045 §5.1, read as people write it: a missing semicolon, an open quote and a parameter twice do no harm.
 * @param body of the field, unfolded
 */
export function readStructuredField(body: string): StructuredField {
  const text = withoutComments(body.slice(0, MAX_FIELD));
  const value = VALUE.exec(text)?.[1] ?? "";
  const rest = value === "" ? text : text.slice(text.indexOf(value) + value.length);
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, token = "", more = ""] of rest.matchAll(PARAMETER)) {
    const key = name.toLowerCase();
    const plain = NAMES.test(key) ? token + more : token;
    if (!parameters.has(key)) parameters.set(key, quoted === undefined ? plain : quoted.replace(/\\(.)/gs, "$1"));
  }
  return { value: value.toLowerCase(), parameters };
}

/** RFC 822 comments, outside of quoted strings; one that does not end is no comment. */
function withoutComments(text: string): string {
  if (!text.includes("(")) return text;
  return text.replace(/"(?:[^"\\]|\\.)*"|(?<=^|[\s;])\((?:[^()\\]|\\.)*\)/gs, (found) =>
    found.startsWith("(") ? " " : found,
  );
}
