/** The settings of `npm start`: environment variables, parsed once. Empty means not set. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";

export interface Settings {
  /** Absolute path of the folder that keeps everything. */
  readonly state: string;
  /** An IP address; `0.0.0.0` and `::` listen everywhere. */
  readonly host: string;
  /** 0: a free one is picked. */
  readonly httpPort: number;
  readonly mxPort: number;
  /** SMTP submission and smart host: STARTTLS, and TLS at once. */
  readonly submissionPort: number;
  readonly submissionsPort: number;
  /** The gateway's relay, on loopback, for origins with transport `gateway`. */
  readonly relayPort: number;
  /** Our name in Received and in the SMTP greeting. */
  readonly hostname: string;
  /** Paths of PEM files, or null: self-signed. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly operatorEmail: string;
  /** Null: the one that was made at the first start. */
  readonly operatorPassword: string | null;
  readonly operatorToken: string | null;
  readonly probeSeconds: number;
  /** Databases for mailboxes; null: as many as the state has, at first one. */
  readonly shards: number | null;
}

export type Parsed =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] };

/** As identity/password.ts has it. */
export const PASSWORD_LENGTH = { min: 8, max: 256 };
/** More are no use on one machine. */
const MAX_SHARDS = 16;
/** An hour between probes would notice nothing. */
const PROBE_SECONDS = { min: 1, max: 3600 };
export const EMAIL = /^[^\s@<>"]+@[^\s@<>"]+$/;
/** RFC 1123 §2.1. */
export const HOSTNAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;
/** RFC 6750 §2.1, b64token. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** @returns every bad setting with its sentence, not only the first; values of secrets stay out of the sentences */
export function parseSettings(environment: Readonly<Record<string, string | undefined>>): Parsed {
  const problems: string[] = [];
  const text = (name: string): string | null => environment[name] || null;

  function whole(name: string, otherwise: number, min: number, max: number): number {
    const value = text(name);
    if (value === null) return otherwise;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    problems.push(`${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(value)}.`);
    return otherwise;
  }

  function matching(name: string, otherwise: string, fits: (value: string) => boolean, what: string): string {
    const value = text(name);
    if (value === null || fits(value)) return value ?? otherwise;
    problems.push(`${name} must be ${what}, not ${JSON.stringify(value)}.`);
    return otherwise;
  }

  const operatorPassword = text("HOLDFAST_OPERATOR_PASSWORD");
  const { min, max } = PASSWORD_LENGTH;
  if (operatorPassword !== null && (operatorPassword.length < min || operatorPassword.length > max))
    problems.push(`HOLDFAST_OPERATOR_PASSWORD must have from ${min} to ${max} characters.`);
  const operatorToken = text("HOLDFAST_OPERATOR_TOKEN");
  if (operatorToken !== null && !TOKEN.test(operatorToken))
    problems.push("HOLDFAST_OPERATOR_TOKEN may have letters, digits and -._~+/ only.");

  const settings: Settings = {
    state: resolve(text("HOLDFAST_STATE") ?? ".holdfast"),
    host: matching("HOLDFAST_HOST", "127.0.0.1", (value) => isIP(value) !== 0, "an IP address"),
    httpPort: whole("HOLDFAST_HTTP_PORT", 8787, 0, 65_535),
    mxPort: whole("HOLDFAST_MX_PORT", 2525, 0, 65_535),
    submissionPort: whole("HOLDFAST_SUBMISSION_PORT", 2587, 0, 65_535),
    submissionsPort: whole("HOLDFAST_SUBMISSIONS_PORT", 2465, 0, 65_535),
    relayPort: whole("HOLDFAST_RELAY_PORT", 0, 0, 65_535),
    hostname: matching("HOLDFAST_HOSTNAME", "holdfast.localhost", (value) => HOSTNAME.test(value), "a host name"),
    tls: parseTls(text("HOLDFAST_TLS_CERT"), text("HOLDFAST_TLS_KEY"), problems),
    operatorEmail: matching(
      "HOLDFAST_OPERATOR_EMAIL",
      "operator@localhost",
      (value) => EMAIL.test(value),
      "an e-mail address",
    ),
    operatorPassword,
    operatorToken,
    probeSeconds: whole("HOLDFAST_PROBE_SECONDS", 30, PROBE_SECONDS.min, PROBE_SECONDS.max),
    shards: text("HOLDFAST_SHARDS") === null ? null : whole("HOLDFAST_SHARDS", 1, 1, MAX_SHARDS),
  };
  return problems.length === 0 ? { ok: true, settings } : { ok: false, problems };
}

function parseTls(cert: string | null, key: string | null, problems: string[]): Settings["tls"] {
  if (cert === null && key === null) return null;
  if (cert === null || key === null) {
    problems.push("HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY must be set together.");
    return null;
  }
  const certificate = readPem("HOLDFAST_TLS_CERT", cert, "CERTIFICATE", problems);
  const privateKey = readPem("HOLDFAST_TLS_KEY", key, "PRIVATE KEY", problems);
  if (certificate !== null && privateKey !== null) {
    try {
      if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey)))
        problems.push("HOLDFAST_TLS_KEY is not the key of the certificate in HOLDFAST_TLS_CERT.");
    } catch (error) {
      problems.push(`HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY cannot be used: ${(error as Error).message}.`);
    }
  }
  return { cert: resolve(cert), key: resolve(key) };
}

function readPem(name: string, path: string, label: string, problems: string[]): string | null {
  try {
    const pem = readFileSync(path, "utf8");
    if (pem.includes(`${label}-----`)) return pem;
    problems.push(`${name}: ${JSON.stringify(path)} has no ${label} in PEM.`);
  } catch (error) {
    problems.push(`${name}: ${JSON.stringify(path)} cannot be read (${reason(error)}).`);
  }
  return null;
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
