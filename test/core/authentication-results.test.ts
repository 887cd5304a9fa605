import { describe, expect, it } from "vitest";
import { authenticationResults, EMAIL_ROUTING } from "../../src/core/authentication-results.ts";
import { readHeader } from "../../src/core/mime/header.ts";

const header = (lines: readonly string[]) => readHeader(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
const SENDERS = [
  "Received: by mail.example.net with SMTP id 1; Sun, 14 Jun 2026 14:02:54 -0700",
  "From: a@example.net",
];

/** As Email Routing writes it. */
const ROUTED = [
  "Received: from mail.example.net (192.0.2.7)",
  "        by cloudflare-email.net (cloudflare) id vrkBYq6dgfAm",
  "        for <ann@example.org>; Sun, 14 Jun 2026 21:02:55 +0000",
  "ARC-Seal: i=1; a=rsa-sha256; s=cf2024-1; d=cloudflare-email.net; cv=none; b=x",
  "Received-SPF: pass (mx.cloudflare.net: domain of a@example.net designates 192.0.2.7 as permitted sender)",
  "\treceiver=mx.cloudflare.net; client-ip=192.0.2.7; helo=mail.example.net;",
  "Authentication-Results: mx.cloudflare.net;",
  "\tdkim=pass header.d=example.net header.s=s header.b=L6CZ3OJ0;",
  "\tdmarc=fail header.from=example.net policy.dmarc=none;",
  "\tspf=none (mx.cloudflare.net: no SPF records found; dmarc=pass) smtp.helo=mail.example.net",
];

describe("what our edge says of a message's sender", () => {
  it("is read from the field that Email Routing puts on top", () => {
    expect(authenticationResults(header([...ROUTED, ...SENDERS]), EMAIL_ROUTING)).toEqual({ dmarc: "fail" });
  });

  it("is not read from a field that the sender has brought, whoever it says it is from", () => {
    const forged = "Authentication-Results: mx.cloudflare.net; dmarc=pass header.from=example.net";
    expect(authenticationResults(header([...ROUTED, forged, ...SENDERS]), EMAIL_ROUTING)).toEqual({ dmarc: "fail" });
    const bare = ROUTED.slice(0, 3);
    expect(authenticationResults(header([...bare, SENDERS[0] ?? "", forged, "From: a"]), EMAIL_ROUTING)).toBeNull();
  });

  it("is nothing where a gateway has received it, even from a host that calls itself as Email Routing does", () => {
    const client = { ...EMAIL_ROUTING, ip: "192.0.2.7" };
    expect(authenticationResults(header([...ROUTED, ...SENDERS]), client)).toBeNull();
  });

  it.each([
    ["Authentication-Results: mx.example.net; dmarc=pass", null],
    ["Authentication-Results: mx.cloudflare.net; none", { dmarc: null }],
    ["Authentication-Results: mx.cloudflare.net 1; DMARC = Pass (p=reject; dmarc=fail)", { dmarc: "pass" }],
    [
      'Authentication-Results: mx.cloudflare.net; spf=pass smtp.mailfrom="; dmarc=pass"@x; dmarc=fail',
      { dmarc: "fail" },
    ],
    ["Authentication-Results: (mx.cloudflare.net;) mx.example.net; dmarc=pass", null],
    ["Authentication-Results: mx.cloudflare.net; spf=pass (a \\( b; dmarc=pass) x=y; dmarc=fail", { dmarc: "fail" }],
  ])("%s", (field, results) => {
    expect(authenticationResults(header([field, ...SENDERS]), EMAIL_ROUTING)).toEqual(results);
  });
});
