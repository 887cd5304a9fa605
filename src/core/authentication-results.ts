/**
 * What our own edge has found out about who a message is from (RFC 8601). Anybody can write such a field: only one counts, the topmost
 * of what Email Routing puts on top, with its own name in it. The gateway evaluates nothing.
 */
import type { Client } from "./envelope.ts";
import { type Header, lastHopTraceEnd } from "./mime/header.ts";

/** How a message that Email Routing brings is received: it does not tell the sender's address and name. */
export const EMAIL_ROUTING = { ip: "", helo: "cloudflare-email.net", protocol: "ESMTPS" } as const satisfies Client;

/** RFC 8601 §2.5: what Email Routing calls itself. */
const AUTHSERV_ID = "mx.cloudflare.net";

export interface AuthenticationResults {
  /** RFC 8601 §2.7, RFC 7489 §11.2, in lower case, such as `pass`, `fail`, `none`; null: nothing is said of it. */
  readonly dmarc: string | null;
}

/**
 * @param client from whom the message was received
 * @returns null where our edge has said nothing
 */
export function authenticationResults(header: Header, client: Client): AuthenticationResults | null {
  if (client.ip !== EMAIL_ROUTING.ip || client.helo !== EMAIL_ROUTING.helo) return null;
  const end = lastHopTraceEnd(header);
  const topmost = header.fields.find(({ name }) => name === "authentication-results");
  if (!topmost || topmost.end > end) return null;
  const [authserv = "", ...results] = withoutComments(topmost.value).split(";");
  // RFC 8601 §2.2: a version may follow the name.
  if (authserv.trim().split(/\s+/)[0]?.toLowerCase() !== AUTHSERV_ID) return null;
  const dmarc = results.map((one) => /^\s*dmarc\s*=\s*([a-z]+)/i.exec(one)?.[1]).find((one) => one !== undefined);
  return { dmarc: dmarc?.toLowerCase() ?? null };
}

/** RFC 5322 §3.2.2: comments may hold semicolons, and what a stranger calls itself; quoted strings too. */
function withoutComments(value: string): string {
  let depth = 0;
  let quoted = false;
  let kept = "";
  for (let at = 0; at < value.length; at++) {
    const letter = value[at] ?? "";
    if (letter === "\\") at++;
    else if (letter === '"' && depth === 0) quoted = !quoted;
    else if (quoted) continue;
    else if (letter === "(") depth++;
    else if (letter === ")") depth = Math.max(0, depth - 1);
    else if (depth === 0) kept += letter;
  }
  return kept;
}
