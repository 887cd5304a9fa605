/** Secrets that people copy and no one types: random, shown once, of which D1 has the SHA-256 only. */

/** RFC 4648 §6, in lower case: an address of mail must not depend on case. */
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
/** 160 bits: nobody guesses them, so a fast hash is enough. */
export const SECRET_LENGTH = 32;

/** @returns so many characters of base32 */
export function randomSecret(length: number = SECRET_LENGTH): string {
  const octets = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(octets, (octet) => BASE32[octet & 31]).join("");
}

/** @returns hexadecimal */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return hex(new Uint8Array(digest));
}

export function hex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}
