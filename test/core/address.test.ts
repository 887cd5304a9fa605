import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeAddressError, lookupLocals, parseAddress, parseDomain, splitAddress } from "../../src/core/address.ts";

const normal = (text: string): string => {
  const parsed = parseAddress(text);
  return parsed.ok ? parsed.value.address : parsed.error.reason;
};

describe("an address", () => {
  it.each([
    ["Ada.Lovelace@Example.ORG", "ada.lovelace@example.org"],
    ["  ada@example.org ", "ada@example.org"],
    ["ada+notes@example.org", "ada+notes@example.org"],
    ['"ada"@example.org', "ada@example.org"],
    ['"ada lovelace"@example.org', '"ada lovelace"@example.org'],
    ['"a@b"@example.org', '"a@b"@example.org'],
    ['"a\\"b\\\\c"@example.org', '"a\\"b\\\\c"@example.org'],
    ["ada@MÜNCHEN.example", "ada@xn--mnchen-3ya.example"],
    ["ada@münchen。example", "ada@xn--mnchen-3ya.example"],
    ["JOSÉ@example.org", "josé@example.org"],
    ["jose\u0301@example.org", "josé@example.org"],
    ["operator@localhost", "operator@localhost"],
    ["ada@1.example", "ada@1.example"],
  ])("%s is looked up as %s", (text, expected) => {
    expect(normal(text)).toBe(expected);
  });

  it.each([
    ["", "empty"],
    ["ada", "no_at"],
    ["@example.org", "no_local"],
    ['""@example.org', "no_local"],
    ["ada@", "no_domain"],
    [".ada@example.org", "local_syntax"],
    ["ada..l@example.org", "local_syntax"],
    ["ada l@example.org", "local_syntax"],
    ["<ada>@example.org", "local_syntax"],
    ['"ada\r\nRCPT TO:<x"@example.org', "local_syntax"],
    ['"a"b"@example.org', "local_syntax"],
    ["ada@example_org", "domain_syntax"],
    ["ada@-example.org", "domain_syntax"],
    ["ada@example..org", "domain_syntax"],
    ["ada@example.org.", "domain_syntax"],
    ["ada@exa%6dple.org", "domain_syntax"],
    ["ada@münchen.example/path", "domain_syntax"],
    ["ada@münchen.example:25", "domain_syntax"],
    ["ada@127.0.0.1", "domain_syntax"],
    ["ada@１２７.0.0.1", "domain_syntax"],
    ["ada@[127.0.0.1]", "address_literal"],
    [`ada@${"x".repeat(64)}.org`, "domain_syntax"],
  ])("%j is no address: %s", (text, reason) => {
    const parsed = parseAddress(text);
    expect(parsed.ok ? "accepted" : parsed.error.reason).toBe(reason);
    if (!parsed.ok) expect(describeAddressError(parsed.error)).toMatch(/\.$/);
  });

  it("may have 64 octets before its @ and no more (RFC 5321 §4.5.3.1.1)", () => {
    expect(normal(`${"a".repeat(64)}@example.org`)).toBe(`${"a".repeat(64)}@example.org`);
    expect(normal(`${"a".repeat(65)}@example.org`)).toBe("local_too_long");
    expect(normal(`${"é".repeat(32)}@example.org`)).toBe(`${"é".repeat(32)}@example.org`);
    expect(normal(`${"é".repeat(33)}@example.org`)).toBe("local_too_long");
  });

  it("may have 254 octets, so that its path has 256 (RFC 5321 §4.5.3.1.3)", () => {
    const domain = (length: number): string => `${"x.".repeat(Math.floor(length / 2) - 1)}${length % 2 ? "xyz" : "xy"}`;
    expect(domain(251)).toHaveLength(251);
    expect(normal(`ab@${domain(251)}`)).toBe(`ab@${domain(251)}`);
    expect(normal(`ab@${domain(252)}`)).toBe("too_long");
    expect(normal(`ab@${domain(256)}`)).toBe("domain_too_long");
  });

  it("is its own normal form", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (local) => {
        const parsed = parseAddress(`${local}@example.org`);
        if (!parsed.ok) return;
        expect(parseAddress(parsed.value.address)).toEqual(parsed);
      }),
    );
  });

  it("is found by every local part that a quoted string can say", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 20 }), (local) => {
        const quoted = `"${local.replace(/["\\]/g, "\\$&")}"`;
        const parsed = parseAddress(`${quoted}@example.org`);
        expect(parsed.ok && parsed.value.local).toBe(local.toLowerCase());
        expect(lookupLocals(quoted)[0]).toBe(local.toLowerCase());
      }),
    );
  });
});

describe("the look-up of a local part", () => {
  it("tries the plus-address itself before the mailbox without its tag", () => {
    expect(lookupLocals("Ada+Lists+x")).toEqual(["ada+lists+x", "ada"]);
  });
  it("does not make an empty mailbox of a leading plus", () => {
    expect(lookupLocals("+ada")).toEqual(["+ada"]);
  });
});

it("cuts an address at its last @ and leaves the rest as received", () => {
  expect(splitAddress('"A@b"@Example.org')).toEqual({ local: '"A@b"', domain: "Example.org" });
  expect(splitAddress("postmaster")).toBeNull();
});

it("takes a domain name in any script and case", () => {
  expect(parseDomain("ПРИМЕР.example")).toEqual({ ok: true, value: "xn--e1afmkfd.example" });
  expect(parseDomain("")).toEqual({ ok: false, error: { reason: "no_domain" } });
});
