/** The gateway's settings: environment variables, parsed once. Empty means not set. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { type GatewaySecret, parseSecrets } from "../core/protocol/gateway/signature.ts";

export interface Configuration {
  /** The Worker, such as `https://holdfast.example.org`. */
  readonly worker: URL;
  readonly secret: GatewaySecret;
  readonly host: string;
  /** 0: a free one is picked. */
  readonly mxPort: number;
  /** Our name in the greeting. */
  readonly hostname: string;
  /** PEM; null: no STARTTLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

export type Configured =
  | { readonly ok: true; readonly configuration: Configuration }
  | { readonly ok: false; readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

/** @returns every bad setting with its sentence; secrets stay out of the sentences */
export function configure(environment: Environment, read: (path: string) => string = readText): Configured {
  const problems: string[] = [];
  const worker = workerOf(environment.HOLDFAST_WORKER_URL, problems);
  const secret = secretOf(environment.HOLDFAST_GATEWAY_SECRETS, problems);
  const host = environment.HOLDFAST_HOST || "127.0.0.1";
  if (isIP(host) === 0) problems.push(`HOLDFAST_HOST must be an IP address, not ${JSON.stringify(host)}.`);
  const port = environment.HOLDFAST_MX_PORT || "2525";
  const mxPort = /^\d{1,5}$/.test(port) ? Number(port) : Number.NaN;
  if (!(mxPort <= 65_535)) {
    problems.push(`HOLDFAST_MX_PORT must be a whole number from 0 to 65535, not ${JSON.stringify(port)}.`);
  }
  const tls = tlsOf(environment.HOLDFAST_TLS_CERT, environment.HOLDFAST_TLS_KEY, read, problems);
  if (problems.length > 0 || !worker || !secret) return { ok: false, problems };
  const hostname = environment.HOLDFAST_HOSTNAME || "localhost";
  return { ok: true, configuration: { worker, secret, host, mxPort, hostname, tls } };
}

function workerOf(text: string | undefined, problems: string[]): URL | null {
  const url = text ? URL.parse(text) : null;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  problems.push(
    text
      ? `HOLDFAST_WORKER_URL must be an http or https address, not ${JSON.stringify(text)}.`
      : "HOLDFAST_WORKER_URL is missing: the address of the Worker, such as https://holdfast.example.org.",
  );
  return null;
}

function secretOf(text: string | undefined, problems: string[]): GatewaySecret | null {
  if (!text) {
    problems.push("HOLDFAST_GATEWAY_SECRETS is missing: id:secret, as in the Worker's GATEWAY_SECRETS.");
    return null;
  }
  const secrets = parseSecrets(text);
  if (secrets.ok) return secrets.value[0];
  problems.push(`HOLDFAST_GATEWAY_SECRETS: ${secrets.error}.`);
  return null;
}

function tlsOf(cert: string | undefined, key: string | undefined, read: (path: string) => string, problems: string[]) {
  if (!cert && !key) return null;
  if (!cert || !key) {
    problems.push("HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY go together: set both or neither.");
    return null;
  }
  try {
    return { cert: read(cert), key: read(key) };
  } catch (error) {
    problems.push(`HOLDFAST_TLS_CERT or HOLDFAST_TLS_KEY cannot be read: ${(error as Error).message}.`);
    return null;
  }
}

function readText(path: string): string {
  return readFileSync(path, "utf8");
}
