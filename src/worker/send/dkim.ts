/** DKIM (RFC 6376) with a domain's own key: rsa-sha256, relaxed/relaxed, by nodemailer's signer, over octets as they go by. */
import RelaxedBody from "nodemailer/lib/dkim/relaxed-body";
import sign from "nodemailer/lib/dkim/sign";
import { splitAddress } from "../../core/address.ts";
import { mailboxes } from "../../core/mime/addresses.ts";
import { type Header, latin1 } from "../../core/mime/header.ts";

export interface DkimKey {
  /** The signing domain (`d=`), A-labels. */
  readonly domain: string;
  readonly selector: string;
  /** PKCS #8, PEM. */
  readonly privateKey: string;
}

export interface NewDkimKey {
  readonly privateKey: string;
  /** SubjectPublicKeyInfo, base64. */
  readonly publicKey: string;
}

/** RFC 8301 §3.2: 1024 is the least, 2048 what is asked for; longer ones do not fit a DNS answer of 512 octets. */
const RSA_BITS = 2048;

export async function makeDkimKey(): Promise<NewDkimKey> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: RSA_BITS };
  const publicExponent = new Uint8Array([1, 0, 1]);
  const pair = (await crypto.subtle.generateKey({ ...algorithm, publicExponent }, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const [open, secret] = await Promise.all([
    crypto.subtle.exportKey("spki", pair.publicKey) as Promise<ArrayBuffer>,
    crypto.subtle.exportKey("pkcs8", pair.privateKey) as Promise<ArrayBuffer>,
  ]);
  const body = base64(secret).replace(/.{64}/g, "$&\n");
  return { privateKey: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`, publicKey: base64(open) };
}

const base64 = (octets: ArrayBuffer): string => btoa(String.fromCharCode(...new Uint8Array(octets)));

/** What has to stand in DNS (RFC 6376 §3.6.1). */
export function dkimRecord(domain: string, selector: string, publicKey: string): { name: string; value: string } {
  return { name: `${selector}._domainkey.${domain}`, value: `v=DKIM1; k=rsa; p=${publicKey}` };
}

/** Whether it is the domain's own mail (RFC 7489 §3.1.1), and not signed for it yet: a relayed message keeps its signature. */
export function isToBeSigned(header: Header, domain: string): boolean {
  const from = header.fields.filter(({ name }) => name === "from");
  const [author, ...others] = from.flatMap(({ value }) => mailboxes(value, null));
  if (!header.complete || !author || others.length > 0) return false;
  if (splitAddress(author.address)?.domain.toLowerCase() !== domain) return false;
  return !header.fields.some(({ name, value }) => name === "dkim-signature" && signedDomain(value) === domain);
}

function signedDomain(signature: string): string | null {
  return /(?:^|;)\s*d\s*=\s*([^\s;]+)/.exec(signature)?.[1]?.toLowerCase() ?? null;
}

/** Takes a message's octets from the first on, the header all in the first chunk, and has its signature when all went by. */
export class DkimSigner {
  readonly #key: DkimKey;
  readonly #header: Header;
  readonly #body = new RelaxedBody({ hashAlgo: "sha256" });
  readonly #hash: Promise<string>;
  #lines: { readonly key: string; readonly line: string }[] | null = null;

  constructor(key: DkimKey, header: Header) {
    this.#key = key;
    this.#header = header;
    this.#hash = new Promise((resolve, reject) => {
      this.#body.once("hash", resolve);
      this.#body.once("error", reject);
    });
    this.#hash.catch(() => "heard by whoever asks for the signature");
    this.#body.resume();
  }

  async update(chunk: Uint8Array): Promise<void> {
    const body = this.#lines ? chunk : chunk.subarray(this.#takeHeader(chunk));
    if (body.length === 0) return;
    await new Promise<void>((resolve) => this.#body.write(body, () => resolve()));
  }

  /** @returns the field with its line end. @throws where the key is none */
  async finish(): Promise<string> {
    this.#body.end();
    const hash = await this.#hash;
    const { domain: domainName, selector: keySelector, privateKey } = this.#key;
    const field = sign(this.#lines ?? [], "sha256", hash, { domainName, keySelector, privateKey });
    if (field === false) throw new Error(`the DKIM key ${keySelector} of ${domainName} does not sign`);
    return `${field}\r\n`;
  }

  /** @returns where the body begins, behind the empty line */
  #takeHeader(chunk: Uint8Array): number {
    const { fields } = this.#header;
    this.#lines = fields.map(({ name, start, end }) => ({
      key: name,
      line: latin1(chunk.subarray(start, end)).replace(/\r?\n$/, ""),
    }));
    const end = fields.at(-1)?.end ?? 0;
    const lineEnd = /^\r?\n/.exec(latin1(chunk.subarray(end, end + 2)))?.[0] ?? "";
    return end + lineEnd.length;
  }
}
