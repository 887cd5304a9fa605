import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRange, rangesOf } from "../../src/core/ip-range.ts";

const ANY = { v4: 0, v6: 0 };

describe("a range of addresses", () => {
  it.each([
    ["192.0.2.7", "192.0.2.7/32"],
    ["192.0.2.7/24", "192.0.2.0/24"],
    [" 10.255.1.2/9 ", "10.128.0.0/9"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8:0::7/48", "2001:db8::/48"],
    ["2001:db8::1", "2001:db8::1/128"],
    ["::ffff:192.0.2.7", "192.0.2.7/32"],
  ])("%s is written %s", (text, written) => expect(parseRange(text, ANY)).toEqual({ ok: true, value: written }));

  it.each([
    "",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.0/33",
    "2001:db8::/129",
    "example.org",
    "1.2.3.4/",
    "1.2.3.4/-1",
    ":::",
    "1::2::3",
  ])("%s is none", (text) => expect(parseRange(text, ANY).ok).toBe(false));

  it("that is wider than allowed is refused, and the words say how wide it may be", () => {
    const widest = { v4: 24, v6: 48 };
    expect(parseRange("192.0.2.0/24", widest).ok).toBe(true);
    expect(parseRange("192.0.0.0/16", widest)).toMatchObject({ ok: false, error: expect.stringContaining("/24") });
    expect(parseRange("2001:db8::/32", widest)).toMatchObject({ ok: false, error: expect.stringContaining("/48") });
  });

  it("has exactly the addresses that share its first bits", () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const address = fc.tuple(octet, octet, octet, octet);
    fc.assert(
      fc.property(address, address, fc.integer({ min: 0, max: 32 }), (one, other, prefix) => {
        const bits = (octets: number[]) => octets.map((part) => part.toString(2).padStart(8, "0")).join("");
        const range = parseRange(`${one.join(".")}/${prefix}`, ANY);
        const inside = bits(one).slice(0, prefix) === bits(other).slice(0, prefix);
        expect(range.ok && rangesOf(other.join(".")).includes(range.value)).toBe(inside);
      }),
    );
  });

  it("of an address there is one for each length", () => {
    expect(rangesOf("192.0.2.7")).toHaveLength(33);
    expect(rangesOf("2001:db8::1")).toHaveLength(129);
    expect(rangesOf("")).toEqual([]);
  });
});
