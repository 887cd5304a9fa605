import { describe, expect, it } from "vitest";
import { letters, textOf } from "../../../src/core/mime/charset.ts";
import { readStructuredField } from "../../../src/core/mime/content-type.ts";
import { parameter } from "../../../src/core/mime/fields.ts";
import { octets } from "./messages.ts";

const text = (type: string, body: string) => textOf(readStructuredField(type), octets(body), false);

describe("the text of a part", () => {
  it.each([
    ["text/plain; charset=iso-8859-1", "caf\xe9", "café"],
    ["text/plain; charset=iso-8859-1", "caf\xe9\r\n", "café\n"],
    ["text/plain", "caf\xc3\xa9", "café"],
    ["text/plain; charset=us-ascii", "caf\xe9", "café"],
    ["text/plain; charset=no-such-thing", "caf\xe9", "café"],
    ["text/html", '<meta charset="koi8-r">\xf0', '<meta charset="koi8-r">П'],
    ["text/plain; charset=cp-850", "a", "a"],
  ])("of %s in %j is %j, and ends as it ends", async (type, body, expected) => {
    expect(await text(type, body)).toBe(expected);
  });

  it("in format=flowed has its lines joined (RFC 3676)", async () => {
    expect(await text("text/plain; format=flowed", "one \r\ntwo\r\nthree")).toBe("one two\nthree");
  });
});

describe("raw octets in a field", () => {
  it("are UTF-8, else in the charset of the text, else what is usual", () => {
    expect(letters("gr\xc3\xbcn", "koi8-r")).toBe("grün");
    expect(letters("\xf0", "koi8-r")).toBe("П");
    expect(letters("\xf0", "utf-8")).toBe("ð");
    expect(letters("plain", null)).toBe("plain");
  });
});

describe("a parameter (RFC 2231)", () => {
  it.each([
    ["a; name=plain", "plain"],
    ["a; name*=utf-8'de'gr%C3%BCn", "grün"],
    ["a; name*1=b; name*0=a; name*2=c", "abc"],
    ["a; name*0*=utf-8''%C3; name*1*=%BC; name*2=%20", "ü%20"],
    ["a; name=poor; name*=utf-8''good", "good"],
    ["a; name*=koi8-r''%F0", "П"],
    ["a; name*=no-such-thing''%C3%BC", "ü"],
    ['a; name="=?utf-8?Q?gr=C3=BCn?="', "grün"],
    ["a; other=x", null],
  ])("%s is %j", (field, value) => {
    expect(parameter([...readStructuredField(field).parameters], "name", null)).toBe(value);
  });
});
