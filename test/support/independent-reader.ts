/** Programs that are not ours read messages and verify their signatures (independent_reader.py), or sign messages as strangers do. */
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./independent_reader.py", import.meta.url));
/** Debian's own: another Python on the path has no dkimpy. */
const PYTHON = "/usr/bin/python3";
/** A name server of its own (see independent_reader.py); also for who is not root. */
const APART = ["--map-root-user", "--mount", "--net"];
const MAX_ANSWER = 256 * 1024 * 1024;

/** What stands in DNS: TXT records by name. */
export type TxtRecords = Readonly<Record<string, string>>;

export interface Signature {
  readonly domain: string;
  readonly selector: string;
  readonly dkimpy: boolean;
  /** True, or what it says instead. */
  readonly openDkim: true | string;
}

export interface Reading {
  readonly signatures: readonly Signature[];
  /** Its fields and parts, as Python's email package reads them; absent where signatures alone were asked for. */
  readonly [field: string]: unknown;
}

/** @param messages in base64 */
export function readByOthers(messages: readonly string[], records: TxtRecords, signaturesAlone = false): Reading[] {
  return ask("unshare", [...APART, PYTHON, PROGRAM], { messages, records, signaturesAlone }) as Reading[];
}

/** That each message has these signatures and no other, and that both verifiers find them valid. */
export const valid = (domain: string, selector: string): Signature => ({
  domain,
  selector,
  dkimpy: true,
  openDkim: true,
});

/** A server elsewhere that signs what it sends. */
export class Signer {
  readonly #domain: string;
  readonly #selector: string;
  readonly #key: string;
  readonly record: { readonly name: string; readonly value: string };

  constructor(domain: string, selector: string) {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.#domain = domain;
    this.#selector = selector;
    this.#key = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
    const open = publicKey.export({ type: "spki", format: "der" }).toString("base64");
    this.record = { name: `${selector}._domainkey.${domain}`, value: `v=DKIM1; k=rsa; p=${open}` };
  }

  /** @param octets with CRLF @returns them, below the signature */
  sign(octets: Buffer): Buffer {
    const [key, selector, domain] = [this.#key, this.#selector, this.#domain];
    const [signed = ""] = ask(PYTHON, [PROGRAM], {
      messages: [octets.toString("base64")],
      key,
      selector,
      domain,
    }) as string[];
    return Buffer.from(signed, "base64");
  }
}

function ask(program: string, args: readonly string[], question: unknown): unknown {
  const input = JSON.stringify(question);
  return JSON.parse(execFileSync(program, [...args], { input, encoding: "utf8", maxBuffer: MAX_ANSWER }));
}
