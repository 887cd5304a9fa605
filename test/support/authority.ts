/**
 * A certificate authority of the tests' own, made anew for each run by openssl: the fake origins get their certificates
 * from it, and workerd and Node.js trust it through NODE_EXTRA_CA_CERTS. That variable is read when miniflare is loaded and
 * when Node.js starts, so `trustTestAuthority` has to run before either.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/**
 * `trusted`: for localhost and 127.0.0.1; `stranger`: self-signed; `misnamed`: ours, but for another host; `policy`: of a
 * web server for MTA-STS.
 */
export type CertificateKind = "trusted" | "stranger" | "misnamed" | "policy";

/** Of the run: vitest's projects and their processes share one authority. */
const FOLDER_VARIABLE = "HOLDFAST_TEST_AUTHORITY";

/** @returns the folder of the authority; made at the first call, and named in the environment for child processes */
export function trustTestAuthority(): string {
  const known = process.env[FOLDER_VARIABLE];
  if (known && existsSync(known)) return known;
  const folder = mkdtempSync(join(tmpdir(), "holdfast-authority-"));
  makeKey(folder, "ca");
  openssl(
    folder,
    "req",
    "-x509",
    "-key",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "2",
    "-subj",
    "/CN=Holdfast test authority",
  );
  sign(folder, "trusted", "DNS:localhost,DNS:origin.test,IP:127.0.0.1");
  sign(folder, "misnamed", "DNS:elsewhere.test");
  sign(folder, "policy", "DNS:mta-sts.sts.test");
  makeKey(folder, "stranger");
  const self = ["req", "-x509", "-key", "stranger.key", "-out", "stranger.pem", "-days", "2", "-subj", "/CN=localhost"];
  openssl(folder, ...self, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1");
  const others = process.env.NODE_EXTRA_CA_CERTS;
  const before = others && existsSync(others) ? readFileSync(others, "utf8") : "";
  writeFileSync(join(folder, "bundle.pem"), `${before}\n${readFileSync(join(folder, "ca.pem"), "utf8")}`);
  process.env.NODE_EXTRA_CA_CERTS = join(folder, "bundle.pem");
  process.env[FOLDER_VARIABLE] = folder;
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function testCertificate(kind: CertificateKind): Certificate {
  const folder = trustTestAuthority();
  return {
    cert: readFileSync(join(folder, `${kind}.pem`), "utf8"),
    key: readFileSync(join(folder, `${kind}.key`), "utf8"),
  };
}

/** PEM, for clients in Node.js that started without NODE_EXTRA_CA_CERTS. */
export function testAuthority(): string {
  return readFileSync(join(trustTestAuthority(), "ca.pem"), "utf8");
}

function openssl(folder: string, ...args: string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
}

function makeKey(folder: string, name: string): void {
  openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.key`);
}

function sign(folder: string, name: string, names: string): void {
  makeKey(folder, name);
  openssl(folder, "req", "-new", "-key", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
  writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names}\n`);
  const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", `${name}.ext`];
  openssl(folder, "x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", ...files);
}
