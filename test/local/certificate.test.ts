import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { keepCertificate, selfSigned } from "../../src/local/certificate.ts";
import { folder } from "./folder.ts";

describe("the self-signed certificate", () => {
  it("names the host, localhost and loopback, and is valid now", () => {
    const now = Date.UTC(2026, 0, 15, 12);
    const certificate = new X509Certificate(selfSigned("mx.example.org", now).cert);
    expect(certificate.subject).toBe("CN=mx.example.org");
    expect(certificate.subjectAltName).toBe(
      "DNS:mx.example.org, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
    );
    expect(certificate.validFrom).toBe("Jan 14 12:00:00 2026 GMT");
    expect(certificate.ca).toBe(false);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
  });

  it("is dated rightly beyond 2049", () => {
    const certificate = new X509Certificate(selfSigned("mx.example.org", Date.UTC(2049, 5, 1)).cert);
    expect(certificate.validTo).toBe("May 30 00:00:00 2059 GMT");
  });

  it("carries a TLS session that trusts it", async () => {
    const { cert, key } = selfSigned("mx.example.org", Date.now());
    const server = createServer({ cert, key }, (socket) => socket.end("220 mx.example.org\r\n"));
    onTestFinished(() => void server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: "127.0.0.1", ca: cert, servername: "mx.example.org" });
    const [greeting] = await once(socket, "data");
    expect(String(greeting)).toBe("220 mx.example.org\r\n");
  });

  it("is kept, its key for its owner alone", () => {
    const state = folder();
    const first = keepCertificate(state, "mx.example.org");
    const content = readFileSync(first.cert, "utf8");
    expect(statSync(first.key).mode & 0o777).toBe(0o600);
    expect(readFileSync(keepCertificate(state, "mx.example.org").cert, "utf8")).toBe(content);
    expect(keepCertificate(state, "mx.example.net").cert).not.toBe(first.cert);
  });
});
