/**
 * What makes two messages the same one (design, rule 5): envelope sender and recipient, Message-ID, and the octets below
 * the trace block of the last hop. The database holds `(account, mid, once)` unique.
 */
import type { Envelope } from "./envelope.ts";

const encoder = new TextEncoder();

/**
 * @param content SHA-256 of the octets below the trace block
 * @returns 32 characters, base64url of half a SHA-256
 */
export async function onceKey(envelope: Pick<Envelope, "from" | "to">, content: Uint8Array): Promise<string> {
  const head = encoder.encode(`${envelope.from}\0${envelope.to}\0`);
  const all = new Uint8Array(head.length + content.length);
  all.set(head);
  all.set(content, head.length);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all)).subarray(0, 24);
  return btoa(String.fromCharCode(...digest))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

/**
 * A guess must not keep its sender's next try from being delivered: its row has a name that no arrival looks for.
 * @param once as `onceKey` has it
 */
export const guessName = (once: string): string => `?${once}`;

/**
 * Nor may what somebody has sent: a message to oneself is sent and comes, with one envelope and the same octets, and it is not to
 * be taken for a repeat when it comes.
 */
export const sentName = (once: string): string => `>${once}`;
