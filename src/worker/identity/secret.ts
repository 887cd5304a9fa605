/**
 * Passwords that must be given in clear to somebody else's server (an origin, a smart host) lie in D1 encrypted.
 * AES-256-GCM, key from the Worker secret MASTER_KEYS, the key's identifier beside the ciphertext so that keys rotate:
 * the newest seals, every listed one opens.
 */

/** The deployment's own configuration is wrong; the message names the setting, never its value. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

export interface Sealed {
  /** Base64 of a 12-octet nonce and the ciphertext with its 16-octet tag. */
  readonly encrypted: string;
  readonly keyId: string;
}

/** NIST SP 800-38D §8.2: 96 random bits; far below 2^32 seals a key. */
const NONCE_BYTES = 12;
const KEY_BYTES = 32;

interface MasterKeys {
  readonly MASTER_KEYS: string;
}

/** @throws SecretError where MASTER_KEYS is unusable */
export async function sealSecret(env: MasterKeys, text: string): Promise<Sealed> {
  const [newest] = parseKeys(env.MASTER_KEYS);
  if (!newest) throw new SecretError("MASTER_KEYS names no key: set it to `id:base64 of 32 octets`.");
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const key = await importKey(newest.octets, "encrypt");
  const cipher = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, key, new TextEncoder().encode(text));
  const joined = new Uint8Array(NONCE_BYTES + cipher.byteLength);
  joined.set(nonce);
  joined.set(new Uint8Array(cipher), NONCE_BYTES);
  return { encrypted: toBase64(joined), keyId: newest.id };
}

/** @throws SecretError where the key is no longer listed or the ciphertext was not made with it */
export async function openSecret(env: MasterKeys, encrypted: string, keyId: string): Promise<string> {
  const known = parseKeys(env.MASTER_KEYS).find((key) => key.id === keyId);
  if (!known)
    throw new SecretError(`MASTER_KEYS does not list the key ${JSON.stringify(keyId)} that sealed this secret.`);
  const joined = fromBase64(encrypted);
  const key = await importKey(known.octets, "decrypt");
  try {
    const plain = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: joined.subarray(0, NONCE_BYTES) },
      key,
      joined.subarray(NONCE_BYTES),
    );
    return new TextDecoder().decode(plain);
  } catch (cause) {
    throw new SecretError(`The key ${JSON.stringify(keyId)} does not open this secret.`, { cause });
  }
}

function parseKeys(text: string): { id: string; octets: Uint8Array<ArrayBuffer> }[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean)
    .map((entry) => {
      const colon = entry.indexOf(":");
      const id = entry.slice(0, colon);
      const octets = colon > 0 ? fromBase64(entry.slice(colon + 1)) : new Uint8Array(0);
      if (octets.length !== KEY_BYTES) {
        throw new SecretError("MASTER_KEYS must be `id:base64 of 32 octets`, newest first, separated by commas.");
      }
      return { id, octets };
    });
}

function importKey(octets: Uint8Array<ArrayBuffer>, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", octets, "AES-GCM", false, [use]);
}

function toBase64(octets: Uint8Array): string {
  return btoa(String.fromCharCode(...octets));
}

/** @throws SecretError: what stands there is not base64 */
function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw new SecretError("A key or sealed secret is not base64.", { cause });
  }
}
