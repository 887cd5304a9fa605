/** The gateway's settings: environment variables, parsed once. Empty means not set. */
import { Resolver } from "node:dns";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { MX_CONNECTION_RATE } from "../core/limits.ts";
import { type GatewaySecret, parseSecrets } from "../core/protocol/gateway/signature.ts";

export interface Configuration {
  /** The Worker, such as `https://holdfast.example.org`. */
  readonly worker: URL;
  /** Any of them verifies the Worker's requests, the first signs ours. */
  readonly secrets: readonly [GatewaySecret, ...GatewaySecret[]];
  readonly host: string;
  /** 0: a free one is picked. */
  readonly mxPort: number;
  /** Submission with STARTTLS, and with TLS at once; null: not served. 0: a free one is picked. */
  readonly submissionPort: number | null;
  readonly submissionsPort: number | null;
  /** Our name in the greeting. */
  readonly hostname: string;
  /** PEM; null: no STARTTLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Load balancers whose PROXY header is believed, and awaited; empty: none. */
  readonly proxies: readonly string[];
  /** Connections to the MX port in one minute from one address; 0: as many as they like. */
  readonly connectionRate: number;
  /** The port where the Worker asks for connections to origins; null: this gateway only receives. */
  readonly relay: Relay | null;
}

export interface Relay {
  readonly host: string;
  /** 0: a free one is picked. */
  readonly port: number;
  /** With the certificate of `tls`; else in clear text: behind a proxy that does TLS, or on one machine. */
  readonly tls: boolean;
  /** Names of origins may resolve to private addresses. */
  readonly privateNames: boolean;
  /** Name servers with their ports; empty: those of the machine. */
  readonly nameServers: readonly string[];
  /** Where the hosts of strangers' domains listen: 25, unless a test has others. */
  readonly mxHostPort: number;
}

export type Configured =
  | { readonly ok: true; readonly configuration: Configuration }
  | { readonly ok: false; readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

/** @returns every bad setting with its sentence; secrets stay out of the sentences */
export function configure(environment: Environment, read: (path: string) => string = readText): Configured {
  const problems: string[] = [];
  const worker = workerOf(environment.HOLDFAST_WORKER_URL, problems);
  const secrets = secretsOf(environment.HOLDFAST_GATEWAY_SECRETS, problems);
  const host = environment.HOLDFAST_HOST || "127.0.0.1";
  if (isIP(host) === 0) problems.push(`HOLDFAST_HOST must be an IP address, not ${JSON.stringify(host)}.`);
  const mxPort = whole("HOLDFAST_MX_PORT", environment, 2525, 65_535, problems);
  const connectionRate = whole("HOLDFAST_MX_CONNECTION_RATE", environment, MX_CONNECTION_RATE, 1_000_000, problems);
  const proxies = (environment.HOLDFAST_PROXY_FROM ?? "").split(",").flatMap((text) => text.trim() || []);
  for (const proxy of proxies) {
    if (isIP(proxy) !== 0) continue;
    problems.push(`HOLDFAST_PROXY_FROM must list IP addresses, separated by commas, not ${JSON.stringify(proxy)}.`);
  }
  const tls = tlsOf(environment.HOLDFAST_TLS_CERT, environment.HOLDFAST_TLS_KEY, read, problems);
  const relay = relayOf(environment, host, tls !== null, problems);
  const submissionPort = submission("HOLDFAST_SUBMISSION_PORT", environment, tls !== null, problems);
  const submissionsPort = submission("HOLDFAST_SUBMISSIONS_PORT", environment, tls !== null, problems);
  if (problems.length > 0 || !worker || !secrets) return { ok: false, problems };
  const hostname = environment.HOLDFAST_HOSTNAME || "localhost";
  return {
    ok: true,
    configuration: {
      worker,
      secrets,
      host,
      mxPort,
      submissionPort,
      submissionsPort,
      hostname,
      tls,
      proxies,
      connectionRate,
      relay,
    },
  };
}

function relayOf(environment: Environment, host: string, hasTls: boolean, problems: string[]): Relay | null {
  if (!environment.HOLDFAST_RELAY_PORT) return null;
  const port = whole("HOLDFAST_RELAY_PORT", environment, 0, 65_535, problems);
  const relayHost = environment.HOLDFAST_RELAY_HOST || host;
  if (isIP(relayHost) === 0) {
    problems.push(`HOLDFAST_RELAY_HOST must be an IP address, not ${JSON.stringify(relayHost)}.`);
  }
  const tls = oneOf("HOLDFAST_RELAY_TLS", environment, hasTls ? "on" : "off", ["on", "off"], problems) === "on";
  if (tls && !hasTls) problems.push("HOLDFAST_RELAY_TLS=on needs HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY.");
  const names = oneOf("HOLDFAST_RELAY_PRIVATE_NAMES", environment, "refuse", ["refuse", "allow"], problems);
  const nameServers = (environment.HOLDFAST_NAME_SERVERS ?? "").split(",").flatMap((text) => text.trim() || []);
  for (const server of nameServers.filter((one) => !isServer(one))) {
    const what = "IP addresses, each with a port or without, separated by commas";
    problems.push(`HOLDFAST_NAME_SERVERS must list ${what}, not ${JSON.stringify(server)}.`);
  }
  const mxHostPort = whole("HOLDFAST_MX_HOST_PORT", environment, 25, 65_535, problems);
  return { host: relayHost, port, tls, privateNames: names === "allow", nameServers, mxHostPort };
}

/** `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]:53`. */
function isServer(text: string): boolean {
  try {
    new Resolver().setServers([text]);
    return true;
  } catch {
    return false; // whatever it dislikes, the sentence is the same
  }
}

function submission(name: string, environment: Environment, hasTls: boolean, problems: string[]): number | null {
  if (!environment[name]) return null;
  // A password in clear text is everybody's.
  if (!hasTls) problems.push(`${name} needs HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY.`);
  return whole(name, environment, 0, 65_535, problems);
}

function whole(name: string, environment: Environment, otherwise: number, max: number, problems: string[]): number {
  const text = environment[name] || String(otherwise);
  const value = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  problems.push(`${name} must be a whole number from 0 to ${max}, not ${JSON.stringify(text)}.`);
  return otherwise;
}

function oneOf(name: string, environment: Environment, otherwise: string, all: string[], problems: string[]): string {
  const text = environment[name] || otherwise;
  if (!all.includes(text)) problems.push(`${name} must be ${all.join(" or ")}, not ${JSON.stringify(text)}.`);
  return text;
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

function secretsOf(text: string | undefined, problems: string[]): Configuration["secrets"] | null {
  if (!text) {
    problems.push("HOLDFAST_GATEWAY_SECRETS is missing: id:secret, as in the Worker's GATEWAY_SECRETS.");
    return null;
  }
  const secrets = parseSecrets(text);
  if (secrets.ok) return secrets.value;
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
