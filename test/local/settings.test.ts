import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { selfSigned } from "../../src/local/certificate.ts";
import { parseSettings } from "../../src/local/settings.ts";
import { folder } from "./folder.ts";

const DEFAULTS = {
  state: resolve(".holdfast"),
  host: "127.0.0.1",
  httpPort: 8787,
  mxPort: 2525,
  submissionPort: 2587,
  submissionsPort: 2465,
  relayPort: 0,
  hostname: "holdfast.localhost",
  tls: null,
  operatorEmail: "operator@localhost",
  operatorPassword: null,
  operatorToken: null,
  probeSeconds: 30,
  shards: null,
};

describe("settings of npm start", () => {
  it("starts with nothing set", () => {
    expect(parseSettings({})).toEqual({ ok: true, settings: DEFAULTS });
  });

  it("takes an empty variable as not set", () => {
    const empty = Object.fromEntries(
      ["STATE", "HOST", "HTTP_PORT", "MX_PORT", "RELAY_PORT", "HOSTNAME", "TLS_CERT", "TLS_KEY", "OPERATOR_EMAIL"]
        .concat("SUBMISSION_PORT", "SUBMISSIONS_PORT", "OPERATOR_PASSWORD", "OPERATOR_TOKEN", "PROBE_SECONDS", "SHARDS")
        .map((name) => [`HOLDFAST_${name}`, ""]),
    );
    expect(parseSettings(empty)).toEqual({ ok: true, settings: DEFAULTS });
  });

  it("takes every setting", () => {
    const state = folder();
    const [cert, key] = [join(state, "c.pem"), join(state, "k.pem")];
    const made = selfSigned("mx.example.org", Date.now());
    writeFileSync(cert, made.cert);
    writeFileSync(key, made.key);
    expect(
      parseSettings({
        HOLDFAST_STATE: state,
        HOLDFAST_HOST: "::1",
        HOLDFAST_HTTP_PORT: "0",
        HOLDFAST_MX_PORT: "65535",
        HOLDFAST_SUBMISSION_PORT: "587",
        HOLDFAST_SUBMISSIONS_PORT: "465",
        HOLDFAST_RELAY_PORT: "8788",
        HOLDFAST_HOSTNAME: "mx.example.org",
        HOLDFAST_TLS_CERT: cert,
        HOLDFAST_TLS_KEY: key,
        HOLDFAST_OPERATOR_EMAIL: "op@example.org",
        HOLDFAST_OPERATOR_PASSWORD: "eight888",
        HOLDFAST_OPERATOR_TOKEN: "a-b.c_d~e+f/g==",
        HOLDFAST_PROBE_SECONDS: "1",
        HOLDFAST_SHARDS: "2",
      }),
    ).toEqual({
      ok: true,
      settings: {
        state,
        host: "::1",
        httpPort: 0,
        mxPort: 65_535,
        submissionPort: 587,
        submissionsPort: 465,
        relayPort: 8788,
        hostname: "mx.example.org",
        tls: { cert, key },
        operatorEmail: "op@example.org",
        operatorPassword: "eight888",
        operatorToken: "a-b.c_d~e+f/g==",
        probeSeconds: 1,
        shards: 2,
      },
    });
  });

  const port = (name: string, value: string) => `${name} must be a whole number from 0 to 65535, not "${value}".`;
  const bad: [Record<string, string>, string][] = [
    [{ HOLDFAST_HTTP_PORT: "http" }, port("HOLDFAST_HTTP_PORT", "http")],
    [{ HOLDFAST_HTTP_PORT: "65536" }, port("HOLDFAST_HTTP_PORT", "65536")],
    [{ HOLDFAST_MX_PORT: "-1" }, port("HOLDFAST_MX_PORT", "-1")],
    [{ HOLDFAST_MX_PORT: "25.5" }, port("HOLDFAST_MX_PORT", "25.5")],
    [{ HOLDFAST_HOST: "localhost" }, 'HOLDFAST_HOST must be an IP address, not "localhost".'],
    [{ HOLDFAST_HOSTNAME: "mx_1.example.org" }, 'HOLDFAST_HOSTNAME must be a host name, not "mx_1.example.org".'],
    [{ HOLDFAST_OPERATOR_EMAIL: "operator" }, 'HOLDFAST_OPERATOR_EMAIL must be an e-mail address, not "operator".'],
    [{ HOLDFAST_OPERATOR_PASSWORD: "seven77" }, "HOLDFAST_OPERATOR_PASSWORD must have from 8 to 256 characters."],
    [{ HOLDFAST_OPERATOR_PASSWORD: "x".repeat(257) }, "HOLDFAST_OPERATOR_PASSWORD must have from 8 to 256 characters."],
    [{ HOLDFAST_OPERATOR_TOKEN: "two words" }, "HOLDFAST_OPERATOR_TOKEN may have letters, digits and -._~+/ only."],
    [{ HOLDFAST_PROBE_SECONDS: "0" }, 'HOLDFAST_PROBE_SECONDS must be a whole number from 1 to 3600, not "0".'],
    [{ HOLDFAST_PROBE_SECONDS: "3601" }, 'HOLDFAST_PROBE_SECONDS must be a whole number from 1 to 3600, not "3601".'],
    [{ HOLDFAST_TLS_CERT: "/c.pem" }, "HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY must be set together."],
    [{ HOLDFAST_TLS_KEY: "/k.pem" }, "HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY must be set together."],
  ];
  it.each(bad)("refuses %o", (environment, sentence) => {
    expect(parseSettings(environment)).toEqual({ ok: false, problems: [sentence] });
  });

  it("names every bad setting at once", () => {
    const parsed = parseSettings({ HOLDFAST_HTTP_PORT: "x", HOLDFAST_HOST: "y" });
    expect(!parsed.ok && parsed.problems.length).toBe(2);
  });

  it("refuses TLS files that are missing or no PEM", () => {
    const state = folder();
    const [cert, key] = [join(state, "c.pem"), join(state, "k.pem")];
    const environment = { HOLDFAST_TLS_CERT: cert, HOLDFAST_TLS_KEY: key };
    writeFileSync(cert, "no PEM");
    expect(parseSettings(environment)).toEqual({
      ok: false,
      problems: [
        `HOLDFAST_TLS_CERT: "${cert}" has no CERTIFICATE in PEM.`,
        `HOLDFAST_TLS_KEY: "${key}" cannot be read (ENOENT).`,
      ],
    });
  });

  it("refuses a key that is another certificate's", () => {
    const state = folder();
    const [cert, key] = [join(state, "c.pem"), join(state, "k.pem")];
    writeFileSync(cert, selfSigned("mx.example.org", Date.now()).cert);
    writeFileSync(key, selfSigned("mx.example.org", Date.now()).key);
    expect(parseSettings({ HOLDFAST_TLS_CERT: cert, HOLDFAST_TLS_KEY: key })).toEqual({
      ok: false,
      problems: ["HOLDFAST_TLS_KEY is not the key of the certificate in HOLDFAST_TLS_CERT."],
    });
  });
});
