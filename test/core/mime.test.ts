import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_IDENTIFIER } from "../../src/core/limits.ts";
import { countReceived, lastHopTraceEnd, latin1, messageIdOf, readHeader } from "../../src/core/mime/header.ts";
import { deliveredByUs, FORWARD_MARK, forwardMark, traceHeaders } from "../../src/core/mime/trace.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const rest = (text: string) => {
  const octets = bytes(text);
  return latin1(octets.subarray(lastHopTraceEnd(readHeader(octets))));
};

const EMAIL_ROUTING = [
  "Received: from mail.example.net (192.0.2.7)",
  "        by cloudflare-email.net (cloudflare) id vrkBYq6dgfAm",
  "        for <a@example.org>; Tue, 01 Nov 2026 05:26:34 +0000",
  "ARC-Seal: i=1; a=rsa-sha256; s=2022; d=email.cloudflare.net; c=relaxed/relaxed;",
  "ARC-Message-Signature: i=1; a=rsa-sha256",
  "Received-SPF: pass (mx.cloudflare.net)",
  "Authentication-Results: mx.cloudflare.net; dkim=pass",
  "",
].join("\r\n");
const BELOW =
  "Received: by relay.example.net id 7\r\nMessage-ID: <1@example.net>\r\nSubject: x\r\n\r\nReceived: body\r\n";

describe("the header of a message", () => {
  it("has a trace block of the last hop that ends before the hop below", () => {
    expect(rest(EMAIL_ROUTING + BELOW)).toBe(BELOW);
  });

  it("has the same octets below the trace block however Email Routing made it anew", () => {
    const again = EMAIL_ROUTING.replace("vrkBYq6dgfAm", "another").replace("05:26:34", "06:00:01");
    expect(rest(again + BELOW)).toBe(rest(EMAIL_ROUTING + BELOW));
  });

  it("has no trace block where it begins with another field", () => {
    expect(rest("Subject: x\r\nReceived: y\r\n\r\n")).toBe("Subject: x\r\nReceived: y\r\n\r\n");
  });

  it("is read with bare line feeds, folded fields and an mbox line on top", () => {
    const header = readHeader(bytes("From a@b Thu\nReceived: x\nMessage-Id:\n\t<2@example.org>\n\nbody: no\n"));
    expect(header.fields.map((field) => field.name)).toEqual(["", "received", "message-id"]);
    expect(header.complete).toBe(true);
    expect(messageIdOf(header)).toBe("2@example.org");
  });

  it("does not take an empty Message-ID for one", () => {
    expect(messageIdOf(readHeader(bytes("Message-ID: <>\r\n\r\n")))).toBeNull();
  });

  it.each([
    [MAX_IDENTIFIER, true],
    [MAX_IDENTIFIER + 1, false],
  ])("takes a Message-ID of %i octets for one: %s", (length, taken) => {
    const id = `${"x".repeat(length - 4)}@y.z`;
    expect(messageIdOf(readHeader(bytes(`Message-ID: <${id}>\r\n\r\n`)))).toBe(taken ? id : null);
  });

  it("covers the message without gap or overlap, whatever its octets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        let at = 0;
        for (const field of readHeader(octets).fields) {
          expect(field.start).toBe(at);
          expect(field.end).toBeGreaterThan(at);
          at = field.end;
        }
        expect(at).toBeLessThanOrEqual(octets.length);
      }),
    );
  });

  it("counts its hops", () => {
    expect(countReceived(readHeader(bytes(EMAIL_ROUTING + BELOW)))).toBe(2);
  });
});

describe("what goes on top of a message on its way to the origin", () => {
  const facts = {
    id: "01JDF3Q7T0ABCDEFGHJKMNPQRS",
    at: Date.UTC(2026, 10, 24, 10, 2, 33),
    host: "mx.holdfast.test",
    client: { ip: "2001:db8::1", helo: "mail.example.net", protocol: "ESMTPS" },
    to: ["Info+News@example.org"],
  };

  it("is one Received and one Delivered-To, the same each time", () => {
    const text = latin1(traceHeaders(facts));
    expect(text).toBe(
      "Received: from mail.example.net ([IPv6:2001:db8::1])\r\n" +
        "\tby mx.holdfast.test (Holdfast) with ESMTPS id 01JDF3Q7T0ABCDEFGHJKMNPQRS\r\n" +
        "\tfor <Info+News@example.org>; Tue, 24 Nov 2026 10:02:33 +0000\r\n" +
        "Delivered-To: Info+News@example.org\r\n",
    );
    expect(latin1(traceHeaders(facts))).toBe(text);
  });

  it("names none of several recipients", () => {
    const text = latin1(traceHeaders({ ...facts, to: ["a@example.org", "blind@example.org"] }));
    expect(text).not.toContain("blind@");
    expect(text).not.toContain("<a@");
    expect(text.match(/^Delivered-To: /gm)).toHaveLength(1);
  });

  it("cannot be broken by what the sender's server calls itself", () => {
    const text = latin1(traceHeaders({ ...facts, client: { ...facts.client, helo: "x\r\nBcc: y" } }));
    expect(text.split("\r\n").filter((line) => /^Bcc/i.test(line))).toEqual([]);
  });

  it("is recognised when the message comes back for this very recipient, and for no other", () => {
    const back = readHeader(bytes(`Received: from origin\r\n${latin1(traceHeaders(facts))}${BELOW}`));
    expect(deliveredByUs(back, "mx.holdfast.test", "info+news@EXAMPLE.org")).toBe(true);
    expect(deliveredByUs(back, "mx.holdfast.test", "info@example.org")).toBe(false);
    expect(deliveredByUs(back, "mx.elsewhere.test", "info+news@example.org")).toBe(false);
  });

  it.each([
    ["Info+News@example.org", "info+news@EXAMPLE.org"],
    ["grüße@example.org", "Grüße@example.org"],
    ['"a\tb c"@example.org', '"A\tb c"@example.org'],
  ])("is recognised by our mark when a forwarded message comes back for %s", (to, again) => {
    const mark = forwardMark("mx.holdfast.test", to);
    expect(mark).toMatch(/^[ -~]+$/);
    const back = readHeader(
      bytes(`Received: from x\r\n${FORWARD_MARK}: ${mark.replace(" for", "\r\n\tfor")}\r\n${BELOW}`),
    );
    expect(deliveredByUs(back, "MX.Holdfast.test", again)).toBe(true);
    expect(deliveredByUs(back, "mx.elsewhere.test", again)).toBe(false);
    expect(deliveredByUs(back, "mx.holdfast.test", `x${again}`)).toBe(false);
  });

  it("is recognised among marks that became one field on the way", () => {
    const marks = ["bob@example.org", "ann@example.org"].map((to) => forwardMark("mx.holdfast.test", to));
    const back = readHeader(bytes(`${FORWARD_MARK}: ${marks.join(", ")}\r\n${BELOW}`));
    expect(deliveredByUs(back, "mx.holdfast.test", "bob@example.org")).toBe(true);
    expect(deliveredByUs(back, "mx.holdfast.test", "ann@example.org")).toBe(true);
    expect(deliveredByUs(back, "mx.holdfast.test", "ob@example.org")).toBe(false);
  });

  it("is made so that no two addresses have the same mark", () => {
    const marks = ['"a b"@example.org', '"a%20b"@example.org', "ü@example.org", "%C3%BC@example.org"];
    expect(new Set(marks.map((to) => forwardMark("mx.holdfast.test", to))).size).toBe(marks.length);
  });

  it("is not recognised in a Delivered-To that another server wrote", () => {
    const other = readHeader(bytes("Delivered-To: a@example.org\r\nReceived: by mx.example.org; x\r\n\r\n"));
    expect(deliveredByUs(other, "mx.holdfast.test", "a@example.org")).toBe(false);
  });
});
