/** AUTH PLAIN (RFC 4616) and LOGIN (which has no RFC, but many servers know only it), RFC 4954. */
import type { Unavailable } from "../../outcome.ts";
import { type Channel, unavailable } from "./channel.ts";
import { outcomeOf } from "./reply.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Nothing that is returned contains the credentials.
 * @param mechanisms the parameters of the AUTH keyword, undefined where the server has none
 * @param limit for the whole exchange, milliseconds
 * @returns null once the server said 235
 */
export async function authenticate(
  channel: Channel,
  { username, password }: Credentials,
  mechanisms: string | undefined,
  limit: number,
): Promise<Unavailable | null> {
  const offered = new Set((mechanisms ?? "").toUpperCase().split(/\s+/));
  const plain = base64(`\0${username}\0${password}`);
  if (offered.has("PLAIN")) return exchange(channel, `AUTH PLAIN ${plain}`, [plain], limit);
  if (offered.has("LOGIN")) return exchange(channel, "AUTH LOGIN", [base64(username), base64(password)], limit);
  channel.fail({ reason: "protocol", detail: "no AUTH" });
  const detail =
    mechanisms === undefined ? "the server has no AUTH" : `the server has neither PLAIN nor LOGIN: ${mechanisms}`;
  return { kind: "unavailable", where: "origin", phase: "auth", reason: "unsupported", detail };
}

/** @param answers to a 334 each, in order. (A server may ask for PLAIN's response although it came with the command.) */
async function exchange(
  channel: Channel,
  command: string,
  answers: readonly string[],
  limit: number,
): Promise<Unavailable | null> {
  const until = channel.now() + limit;
  const waiting = [...answers];
  let line: string | undefined = command;
  while (line !== undefined) {
    const reply = await channel.ask(line, until - channel.now());
    if (!reply.ok) return unavailable("auth", reply.error);
    line = reply.value.code === 334 ? waiting.shift() : undefined;
    if (line !== undefined) continue;
    const outcome = outcomeOf("auth", reply.value);
    if (outcome.kind === "delivered") return null;
    channel.fail({ reason: "protocol", detail: "AUTH failed" });
    // `refused` cannot come of AUTH.
    return outcome.kind === "unavailable" ? outcome : unavailable("auth", { reason: "protocol" });
  }
  return unavailable("auth", channel.fail({ reason: "protocol" }));
}

/** RFC 4616 §2: UTF-8. */
function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (octet) => String.fromCharCode(octet)).join(""));
}
