/** The reply to EHLO (RFC 5321 §4.1.1.1). */
import type { Reply } from "../../outcome.ts";

/** @returns keywords in upper case with their parameters as they stand, `""` where there are none */
export function parseExtensions(reply: Reply): Map<string, string> {
  const extensions = new Map<string, string>();
  // The first line is the server's name and its greeting.
  for (const line of reply.text.split("\n").slice(1)) {
    // `AUTH=LOGIN PLAIN` is how servers before RFC 2554 wrote it; some still write both.
    const [, keyword, parameters = ""] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =](.*))?$/.exec(line.trim()) ?? [];
    if (keyword === undefined) continue;
    const name = keyword.toUpperCase();
    const before = extensions.get(name);
    extensions.set(name, before ? `${before} ${parameters.trim()}` : parameters.trim());
  }
  return extensions;
}
