import { describe, expect, it } from "vitest";
import { configure } from "../../src/gateway/configuration.ts";

const GOOD = {
  HOLDFAST_WORKER_URL: "https://holdfast.example.org",
  HOLDFAST_GATEWAY_SECRETS: "g2:the-newest-one,g1:the-older-one",
};

describe("the gateway's settings", () => {
  it("need a Worker and a secret only; the newest secret signs", () => {
    expect(configure(GOOD)).toEqual({
      ok: true,
      configuration: {
        worker: new URL("https://holdfast.example.org"),
        secrets: [
          { id: "g2", secret: "the-newest-one" },
          { id: "g1", secret: "the-older-one" },
        ],
        host: "127.0.0.1",
        mxPort: 2525,
        submissionPort: null,
        submissionsPort: null,
        hostname: "localhost",
        tls: null,
        proxies: [],
        connectionRate: 600,
        relay: null,
      },
    });
  });

  it("open a relay where it has a port: with TLS where there is a certificate, on the same host, public addresses only", () => {
    const files: Record<string, string> = { "/c.pem": "CERT", "/k.pem": "KEY" };
    const tls = { HOLDFAST_TLS_CERT: "/c.pem", HOLDFAST_TLS_KEY: "/k.pem" };
    const relayOf = (settings: Record<string, string>) => {
      const configured = configure({ ...GOOD, HOLDFAST_RELAY_PORT: "8788", ...settings }, (path) => files[path] ?? "");
      return configured.ok ? configured.configuration.relay : configured.problems;
    };
    const plain = { host: "127.0.0.1", port: 8788, tls: false, privateNames: false, nameServers: [], mxHostPort: 25 };
    expect(relayOf({})).toEqual(plain);
    expect(relayOf({ ...tls, HOLDFAST_HOST: "::" })).toMatchObject({ host: "::", tls: true });
    const servers = { HOLDFAST_NAME_SERVERS: "192.0.2.53, [2001:db8::1]:5353", HOLDFAST_MX_HOST_PORT: "2525" };
    const others = { nameServers: ["192.0.2.53", "[2001:db8::1]:5353"], mxHostPort: 2525 };
    expect(relayOf(servers)).toEqual({ ...plain, ...others });
    expect(relayOf({ HOLDFAST_NAME_SERVERS: "ns.example.org" })).toEqual([
      'HOLDFAST_NAME_SERVERS must list IP addresses, each with a port or without, separated by commas, not "ns.example.org".',
    ]);
    const own = { HOLDFAST_RELAY_HOST: "192.0.2.1", HOLDFAST_RELAY_TLS: "off", HOLDFAST_RELAY_PRIVATE_NAMES: "allow" };
    expect(relayOf({ ...tls, ...own })).toEqual({ ...plain, host: "192.0.2.1", privateNames: true });
  });

  it("open the submission ports where they have a certificate: a password never travels in clear text", () => {
    const ports = { HOLDFAST_SUBMISSION_PORT: "587", HOLDFAST_SUBMISSIONS_PORT: "465" };
    expect(configure({ ...GOOD, ...ports })).toEqual({
      ok: false,
      problems: [
        "HOLDFAST_SUBMISSION_PORT needs HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY.",
        "HOLDFAST_SUBMISSIONS_PORT needs HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY.",
      ],
    });
    const tls = { HOLDFAST_TLS_CERT: "/c.pem", HOLDFAST_TLS_KEY: "/k.pem" };
    const configured = configure({ ...GOOD, ...tls, ...ports }, () => "PEM");
    expect(configured).toMatchObject({ configuration: { submissionPort: 587, submissionsPort: 465 } });
  });

  it("list the proxies whose PROXY header counts", () => {
    const configured = configure({ ...GOOD, HOLDFAST_PROXY_FROM: "192.0.2.1, 2001:db8::1" });
    expect(configured).toMatchObject({ configuration: { proxies: ["192.0.2.1", "2001:db8::1"] } });
  });

  it("read the certificate and its key", () => {
    const files: Record<string, string> = { "/c.pem": "CERT", "/k.pem": "KEY" };
    const configured = configure(
      { ...GOOD, HOLDFAST_TLS_CERT: "/c.pem", HOLDFAST_TLS_KEY: "/k.pem" },
      (path) => files[path] ?? "",
    );
    expect(configured).toMatchObject({ configuration: { tls: { cert: "CERT", key: "KEY" } } });
  });

  it.each([
    [
      { HOLDFAST_WORKER_URL: "" },
      "HOLDFAST_WORKER_URL is missing: the address of the Worker, such as https://holdfast.example.org.",
    ],
    [{ HOLDFAST_WORKER_URL: "holdfast" }, 'HOLDFAST_WORKER_URL must be an http or https address, not "holdfast".'],
    [
      { HOLDFAST_WORKER_URL: "ftp://x.test" },
      'HOLDFAST_WORKER_URL must be an http or https address, not "ftp://x.test".',
    ],
    [
      { HOLDFAST_GATEWAY_SECRETS: "" },
      "HOLDFAST_GATEWAY_SECRETS is missing: id:secret, as in the Worker's GATEWAY_SECRETS.",
    ],
    [
      { HOLDFAST_GATEWAY_SECRETS: "secret-without-id" },
      "HOLDFAST_GATEWAY_SECRETS: entry 1 is not id:secret with a secret of at least 8 characters.",
    ],
    [{ HOLDFAST_HOST: "mx.example.org" }, 'HOLDFAST_HOST must be an IP address, not "mx.example.org".'],
    [{ HOLDFAST_MX_PORT: "65536" }, 'HOLDFAST_MX_PORT must be a whole number from 0 to 65535, not "65536".'],
    [{ HOLDFAST_MX_PORT: "smtp" }, 'HOLDFAST_MX_PORT must be a whole number from 0 to 65535, not "smtp".'],
    [
      { HOLDFAST_MX_CONNECTION_RATE: "-1" },
      'HOLDFAST_MX_CONNECTION_RATE must be a whole number from 0 to 1000000, not "-1".',
    ],
    [
      { HOLDFAST_PROXY_FROM: "192.0.2.1,balancer" },
      'HOLDFAST_PROXY_FROM must list IP addresses, separated by commas, not "balancer".',
    ],
    [{ HOLDFAST_RELAY_PORT: "x" }, 'HOLDFAST_RELAY_PORT must be a whole number from 0 to 65535, not "x".'],
    [
      { HOLDFAST_RELAY_PORT: "1", HOLDFAST_RELAY_HOST: "gw.example.org" },
      'HOLDFAST_RELAY_HOST must be an IP address, not "gw.example.org".',
    ],
    [
      { HOLDFAST_RELAY_PORT: "1", HOLDFAST_RELAY_TLS: "on" },
      "HOLDFAST_RELAY_TLS=on needs HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY.",
    ],
    [{ HOLDFAST_RELAY_PORT: "1", HOLDFAST_RELAY_TLS: "yes" }, 'HOLDFAST_RELAY_TLS must be on or off, not "yes".'],
    [
      { HOLDFAST_RELAY_PORT: "1", HOLDFAST_RELAY_PRIVATE_NAMES: "yes" },
      'HOLDFAST_RELAY_PRIVATE_NAMES must be refuse or allow, not "yes".',
    ],
    [{ HOLDFAST_TLS_CERT: "/c.pem" }, "HOLDFAST_TLS_CERT and HOLDFAST_TLS_KEY go together: set both or neither."],
    [
      { HOLDFAST_TLS_CERT: "/nowhere/c.pem", HOLDFAST_TLS_KEY: "/nowhere/k.pem" },
      "HOLDFAST_TLS_CERT or HOLDFAST_TLS_KEY cannot be read: ENOENT: no such file or directory, open '/nowhere/c.pem'.",
    ],
  ])("%j is said to be wrong in these words", (setting, problem) => {
    expect(configure({ ...GOOD, ...setting })).toEqual({ ok: false, problems: [problem] });
  });

  it("are all named at once where several are wrong", () => {
    const configured = configure({ HOLDFAST_MX_PORT: "x" });
    expect(configured.ok ? [] : configured.problems).toHaveLength(3);
  });
});
