import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseStsPolicy, type StsPolicy, stsAllows, stsIdOf } from "../../src/core/mta-sts.ts";
import { MAX_STS_LIFE } from "../../src/core/send/limits.ts";

describe("whether a domain has an MTA-STS policy", () => {
  it.each<[string, string[], string | null]>([
    ["the example of RFC 8461 §3.1", ["v=STSv1; id=20160831085700Z;"], "20160831085700Z"],
    ["without a last semicolon, among other records", ["v=spf1 -all", "v=STSv1;id=a1"], "a1"],
    ["with an extension", ["v=STSv1; id=a1; x=y"], "a1"],
    ["no record", [], null],
    ["another version", ["v=STSv2; id=a1"], null],
    ["two records: as if there were none", ["v=STSv1; id=a1", "v=STSv1; id=a2"], null],
    ["no id", ["v=STSv1;"], null],
    ["two ids", ["v=STSv1; id=a; id=b"], null],
    ["an id that is none", [`v=STSv1; id=${"a".repeat(33)}`], null],
    ["not at the beginning", ["id=a1; v=STSv1"], null],
  ])("%s", (_name, txt, id) => expect(stsIdOf(txt)).toBe(id));
});

const FILE = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";

describe("a policy file", () => {
  it("the example of RFC 8461 §3.2", () => {
    const policy = { mode: "enforce", maxAge: 604_800, mx: ["mail.example.com", "*.example.net"] };
    expect(parseStsPolicy(FILE)).toEqual({ ok: true, value: policy });
    expect(parseStsPolicy(FILE.replaceAll("\r\n", "\n"))).toEqual({ ok: true, value: policy });
  });

  it("unknown keys are ignored, of a known one the first counts, and a life is a year at most", () => {
    const file = `${FILE}future: thing\nmode: none\n`.replace("604800", "9999999999");
    expect(parseStsPolicy(file)).toMatchObject({ ok: true, value: { mode: "enforce", maxAge: MAX_STS_LIFE } });
  });

  it.each([
    ["no version", FILE.replace(/version.*\r\n/, "")],
    ["another version", FILE.replace("STSv1", "STSv2")],
    ["no mode", FILE.replace(/mode.*\r\n/, "")],
    ["a mode that there is not", FILE.replace("enforce", "strict")],
    ["no max_age", FILE.replace(/max_age.*\r\n/, "")],
    ["a max_age that is no number", FILE.replace("604800", "1 week")],
    ["no mx", FILE.replaceAll(/mx:.*\r\n/g, "")],
    ["an mx that is no name", FILE.replace("mail.example.com", "*.*.example.com")],
    ["a page of HTML", "<!doctype html><title>Not found</title>"],
    ["nothing", ""],
  ])("%s: it is none", (_name, file) => expect(parseStsPolicy(file).ok).toBe(false));

  it("whatever stands in it, it is a policy or none, and never an exception", () => {
    const lines = fc.array(fc.oneof(fc.constantFrom(...FILE.split("\r\n")), fc.string()), { maxLength: 12 });
    fc.assert(fc.property(lines, (parts) => void parseStsPolicy(parts.join("\n"))));
  });
});

describe("which hosts a policy allows", () => {
  const policy: StsPolicy = { mode: "enforce", maxAge: 1, mx: ["mail.example.com", "*.example.net"] };
  it.each([
    ["mail.example.com", true],
    ["MAIL.example.com", true],
    ["mx1.example.net", true],
    ["a.mx1.example.net", false],
    ["example.net", false],
    ["evilexample.net", false],
    ["mail.example.com.evil.test", false],
    ["other.example.com", false],
  ])("%s: %s", (host, allowed) => expect(stsAllows(policy, host)).toBe(allowed));
});
