/** The certificate of the mail ports where none is set: self-signed, made at the first start, kept. */
import { createSign, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { bits, boolean, context, integer, octets, oid, sequence, set, time, utf8 } from "./der.ts";
import { writeWhole } from "./file.ts";

const DAY = 86_400_000;
const VALID_DAYS = 3650;
const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const COMMON_NAME = "2.5.4.3";
const BASIC_CONSTRAINTS = "2.5.29.19";
const SUBJECT_ALT_NAME = "2.5.29.17";

/** @returns the paths of the two PEM files; the key is its owner's only */
export function keepCertificate(state: string, hostname: string): { cert: string; key: string } {
  const folder = join(state, "tls");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // One file per host name: another name needs another certificate.
  const cert = join(folder, `${hostname}.pem`);
  const key = join(folder, `${hostname}.key`);
  if (existsSync(cert) && existsSync(key)) return { cert, key };
  const made = selfSigned(hostname, Date.now());
  writeWhole(key, made.key, 0o600);
  writeWhole(cert, made.cert);
  return { cert, key };
}

/**
 * RFC 5280 §4.1, version 3, P-256, for the name and for this machine's own.
 * @param now milliseconds since 1970
 */
export function selfSigned(hostname: string, now: number): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  // RFC 5280, upper bound of a common name: 64; the alternative names are what counts.
  const name = sequence(set(sequence(oid(COMMON_NAME), utf8(hostname.slice(0, 64)))));
  const alternatives = sequence(
    ...[hostname, "localhost"].map((dns) => context(2, Buffer.from(dns, "ascii"), false)),
    context(7, Buffer.from([127, 0, 0, 1]), false),
    context(7, Buffer.from("00000000000000000000000000000001", "hex"), false),
  );
  const serial = Buffer.concat([Buffer.from([0x40]), randomBytes(15)]);
  const body = sequence(
    context(0, integer(Buffer.from([2]))),
    integer(serial),
    ECDSA_SHA256,
    name,
    sequence(time(now - DAY), time(now + VALID_DAYS * DAY)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    context(
      3,
      sequence(
        sequence(oid(BASIC_CONSTRAINTS), boolean(true), octets(sequence())),
        sequence(oid(SUBJECT_ALT_NAME), octets(alternatives)),
      ),
    ),
  );
  const signature = createSign("sha256").update(body).sign(privateKey);
  const der = sequence(body, ECDSA_SHA256, bits(signature));
  const lines = der.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
