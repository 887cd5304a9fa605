/**
 * How a gateway proves who it is: each request carries
 *
 *   Authorization: Holdfast-Gateway id=ID, ts=MILLISECONDS, nonce=NONCE, sig=SIGNATURE
 *
 * with SIGNATURE = HMAC-SHA256 over method, path with query, ts, nonce and the body's hash, base64url. Secrets rotate: any
 * listed one verifies, the first signs. A stolen header is worth nothing after GATEWAY_CLOCK_SKEW, and nothing at once
 * where its nonce is remembered.
 */
import { GATEWAY_CLOCK_SKEW, GATEWAY_NONCES } from "../../limits.ts";
import { err, ok, type Result } from "../../result.ts";

export interface GatewaySecret {
  readonly id: string;
  readonly secret: string;
}

export interface SignedRequest {
  /** Upper case. */
  readonly method: string;
  /** Path with query, as it stands in the request line. */
  readonly path: string;
  /** SHA-256 of the body, hexadecimal; absent where there is no body. */
  readonly bodyHash?: string;
}

export type SignatureError = "missing" | "malformed" | "unknown_id" | "clock_skew" | "bad_signature" | "replayed";

const SCHEME = "Holdfast-Gateway";
const HEADER =
  /^Holdfast-Gateway id=([A-Za-z0-9._-]{1,64}), ts=(\d{1,15}), nonce=([A-Za-z0-9_-]{16,64}), sig=([A-Za-z0-9_-]{43})$/;
const ENTRY = /^([A-Za-z0-9._-]{1,64}):([^\s,]{8,})$/;

/**
 * `id:secret,id:secret`, newest first.
 * @returns what is wrong, without the secret
 */
export function parseSecrets(text: string): Result<readonly [GatewaySecret, ...GatewaySecret[]], string> {
  const secrets: GatewaySecret[] = [];
  for (const [index, entry] of text.split(",").entries()) {
    const [, id, secret] = ENTRY.exec(entry.trim()) ?? [];
    if (id === undefined || secret === undefined) {
      return err(`entry ${index + 1} is not id:secret with a secret of at least 8 characters`);
    }
    if (secrets.some((known) => known.id === id)) return err(`the id ${id} stands there twice`);
    secrets.push({ id, secret });
  }
  const [first, ...rest] = secrets;
  return first ? ok([first, ...rest]) : err("it is empty");
}

/**
 * @param now unix milliseconds
 * @param nonce 16 to 64 characters of base64url, never used before
 * @returns the value of the Authorization header
 */
export async function signRequest(
  { id, secret }: GatewaySecret,
  request: SignedRequest,
  now: number,
  nonce: string,
): Promise<string> {
  const key = await importKey(secret, "sign");
  const signature = await crypto.subtle.sign("HMAC", key, signedText(request, String(now), nonce));
  return `${SCHEME} id=${id}, ts=${now}, nonce=${nonce}, sig=${toBase64Url(new Uint8Array(signature))}`;
}

/**
 * @param authorization the header, or null where there is none
 * @param seen remembers nonces; a request is entered only after its signature was found good
 * @returns the id of the secret that signed
 */
export async function verifyRequest(
  secrets: readonly GatewaySecret[],
  request: SignedRequest,
  authorization: string | null,
  now: number,
  seen: NonceMemory,
): Promise<Result<string, SignatureError>> {
  if (!authorization) return err("missing");
  const [, id, ts = "", nonce = "", signature = ""] = HEADER.exec(authorization) ?? [];
  if (id === undefined) return err("malformed");
  const known = secrets.find((secret) => secret.id === id);
  if (!known) return err("unknown_id");
  if (Math.abs(now - Number(ts)) > GATEWAY_CLOCK_SKEW) return err("clock_skew");
  const octets = fromBase64Url(signature);
  const key = await importKey(known.secret, "verify");
  // HMAC verification compares in constant time.
  if (!(await crypto.subtle.verify("HMAC", key, octets, signedText(request, ts, nonce)))) return err("bad_signature");
  return seen.enter(`${id} ${nonce}`, now) ? ok(id) : err("replayed");
}

/** The nonces of one isolate, as long as their requests could still be accepted; bounded, the oldest go first. */
export class NonceMemory {
  readonly #seen = new Map<string, number>();

  /** @returns false where it was there already */
  enter(nonce: string, now: number): boolean {
    // A request is accepted from `skew` before its time stamp until `skew` after it.
    for (const [old, at] of this.#seen) {
      if (now - at <= 2 * GATEWAY_CLOCK_SKEW && this.#seen.size < GATEWAY_NONCES) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(nonce)) return false;
    this.#seen.set(nonce, now);
    return true;
  }

  get size(): number {
    return this.#seen.size;
  }
}

function signedText({ method, path, bodyHash }: SignedRequest, ts: string, nonce: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode([SCHEME, method, path, ts, nonce, bodyHash ?? ""].join("\n"));
}

function importKey(secret: string, usage: "sign" | "verify"): Promise<unknown> {
  const octets = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", octets, { name: "HMAC", hash: "SHA-256" }, false, [usage]);
}

function toBase64Url(octets: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...octets));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param text 43 characters of the base64url alphabet, which is 32 octets */
function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
