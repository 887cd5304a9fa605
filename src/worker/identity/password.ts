/**
 * Passwords of people, as scrypt strings `scrypt$N$r$p$salt$hash` (salt and hash base64url without padding).
 * N = 2^14, r = 8, p = 5 is an OWASP-recommended set that needs 16 MiB; 2^17 would take a whole isolate.
 */
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

const COST = 16_384;
const BLOCK = 8;
const PARALLEL = 5;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** scrypt needs 128 * N * r octets; Node.js refuses at exactly that without some room. */
const MAX_MEMORY = 64 * 1024 * 1024;

/** NIST SP 800-63B: never less than 8. */
export const MIN_PASSWORD_LENGTH = 8;
/** Longer than any passphrase; scrypt's time must not depend on what a stranger sends. */
export const MAX_PASSWORD_LENGTH = 256;

export const PASSWORD_TOO_SHORT = `A password needs at least ${MIN_PASSWORD_LENGTH} characters.`;
export const PASSWORD_TOO_LONG = `A password may have at most ${MAX_PASSWORD_LENGTH} characters.`;

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, { cost: COST, block: BLOCK, parallel: PARALLEL, length: HASH_BYTES });
  return ["scrypt", COST, BLOCK, PARALLEL, base64url(salt), base64url(hash)].join("$");
}

/**
 * Takes as long for a login that does not exist as for a wrong password: time tells nobody who has a mailbox.
 * @param stored the scrypt string, or null: no such login, or one without password
 */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const known = stored === null ? null : parse(stored);
  const wanted = known ?? DUMMY;
  const hash = await derive(password.slice(0, MAX_PASSWORD_LENGTH + 1), wanted.salt, wanted);
  const equal = timingSafeEqual(hash, wanted.hash);
  return known !== null && equal && password.length <= MAX_PASSWORD_LENGTH;
}

interface Parameters {
  readonly cost: number;
  readonly block: number;
  readonly parallel: number;
  readonly length: number;
}
interface Stored extends Parameters {
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

const DUMMY: Stored = {
  cost: COST,
  block: BLOCK,
  parallel: PARALLEL,
  length: HASH_BYTES,
  salt: new Uint8Array(SALT_BYTES),
  hash: new Uint8Array(HASH_BYTES),
};

/** Null for anything that this code cannot have written, or that would cost more memory than an isolate can spare. */
function parse(text: string): Stored | null {
  const match = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9_+/-]+={0,2})\$([A-Za-z0-9_+/-]+={0,2})$/.exec(
    text,
  );
  if (!match) return null;
  const [, cost, block, parallel, salt = "", hash = ""] = match;
  const octets = fromBase64(hash);
  const stored = { cost: Number(cost), block: Number(block), parallel: Number(parallel), length: octets.length };
  if (stored.length < 16 || 128 * stored.cost * stored.block > MAX_MEMORY / 2) return null;
  return { ...stored, salt: fromBase64(salt), hash: octets };
}

function derive(
  password: string,
  salt: Uint8Array,
  { cost, block, parallel, length }: Parameters,
): Promise<Uint8Array> {
  // The same characters typed on two systems must be the same octets (RFC 8265 §4.2 asks for NFC).
  const octets = new TextEncoder().encode(password.normalize("NFC"));
  return new Promise((resolve, reject) => {
    scrypt(octets, salt, length, { N: cost, r: block, p: parallel, maxmem: MAX_MEMORY }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

function base64url(octets: Uint8Array): string {
  return btoa(String.fromCharCode(...octets))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** Reads base64 and base64url alike. */
function fromBase64(text: string): Uint8Array {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/").replaceAll("=", ""));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
