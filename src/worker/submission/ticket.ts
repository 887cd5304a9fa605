/**
 * What a gateway shows of a login with each transaction (core/protocol/gateway/login.ts): sealed by us, so that it can be made by
 * nobody else, and it says nothing. Whom it names is looked up anew each time: what was taken back is worth nothing at once.
 */
import { z } from "zod";
import { TICKET_LIFE } from "../../core/send/limits.ts";
import type { Env } from "../env.ts";
import { sha256 } from "../identity/random-secret.ts";
import { openSecret, sealSecret } from "../identity/secret.ts";

const content = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("relay"), id: z.int(), stamp: z.string(), until: z.number() }),
  z.strictObject({ kind: z.literal("mailbox"), login: z.string(), stamp: z.string(), until: z.number() }),
]);

/** `stamp`: of the secret that it was proved with, as stored: a changed one ends it. `until`: unix milliseconds. */
export type Ticket = z.infer<typeof content>;

type WithoutTime<T> = T extends unknown ? Omit<T, "until"> : never;

export async function writeTicket(
  env: Pick<Env, "MASTER_KEYS">,
  whose: WithoutTime<Ticket>,
  now: number,
): Promise<string> {
  const { encrypted, keyId } = await sealSecret(env, JSON.stringify({ ...whose, until: now + TICKET_LIFE }));
  return `${keyId}.${encrypted}`;
}

/** @returns null where it is none of ours, or too old */
export async function readTicket(env: Pick<Env, "MASTER_KEYS">, ticket: string, now: number): Promise<Ticket | null> {
  const dot = ticket.lastIndexOf(".");
  try {
    const text = await openSecret(env, ticket.slice(dot + 1), ticket.slice(0, dot));
    const read = content.safeParse(JSON.parse(text));
    return read.success && read.data.until > now ? read.data : null;
  } catch (error) {
    console.error("a login's ticket cannot be read", String(error));
    return null;
  }
}

/** Of a stored hash: enough to tell another one, and of no use for guessing. */
export async function stampOf(stored: string): Promise<string> {
  return (await sha256(`ticket ${stored}`)).slice(0, 32);
}
