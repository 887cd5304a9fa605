import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressesAsTheyStand, addressGroups, mailboxes } from "../../../src/core/mime/addresses.ts";

describe("an address field", () => {
  it.each([
    ["Ann <ann@example.org>", [["Ann", "ann@example.org"]]],
    ["ann@example.org (Ann B)", [["Ann B", "ann@example.org"]]],
    ["ann@example.org ((Ann) B)", [["Ann B", "ann@example.org"]]],
    [
      '"Doe (x, John" <j@example.org>, b@example.org',
      [
        ["Doe (x, John", "j@example.org"],
        ["", "b@example.org"],
      ],
    ],
    ["=?utf-8?Q?Gr=C3=BCn=2C_Ann?= <ann@example.org>", [["Grün, Ann", "ann@example.org"]]],
    ["Gr\xc3\xbcn <a@example.org>", [["Grün", "a@example.org"]]],
    ["Postmaster", [["", "Postmaster"]]],
    ['"ann@example.org" <ann@example.org>', [["ann@example.org", "ann@example.org"]]],
    ['"bob@example.org" <ann@example.org>', [["bob@example.org", "ann@example.org"]]],
    ["(nobody)", []],
    ["<@relay.example,@b.example:ann@example.org>", [["", "ann@example.org"]]],
    ['"a b"@example.org', [["", '"a b"@example.org']]],
    ['Ann <"a@b"@example.org>', [["Ann", '"a@b"@example.org']]],
    ["=?utf-8?Q?a?=@example.org", [["", "=?utf-8?Q?a?=@example.org"]]],
    ["<>, ,", []],
    ["", []],
  ])("%j is %j", (field, people) => {
    expect(mailboxes(field, null).map(({ name, address }) => [name, address])).toEqual(people);
  });

  it("has its groups, also empty ones", () => {
    expect(addressGroups("a@example.org, Friends: b@example.org;, nobody:;", null)).toEqual([
      { name: null, mailboxes: [{ name: "", address: "a@example.org" }] },
      { name: "Friends", mailboxes: [{ name: "", address: "b@example.org" }] },
      { name: "nobody", mailboxes: [] },
    ]);
  });

  it("as it stands keeps encoded words and octets", () => {
    expect(addressesAsTheyStand(["=?utf-8?Q?a?= =?utf-8?Q?b?= \xe9 <a@example.org>"])).toEqual([
      { name: null, mailboxes: [{ name: "=?utf-8?Q?a?= =?utf-8?Q?b?= \xe9", address: "a@example.org" }] },
    ]);
  });

  it("of any text is read without a failure", () => {
    const piece = fc.constantFrom("(", ")", '"', "\\", "<", ">", ",", ";", ":", "@", "a", " ", "=?utf-8?Q?x?=", "\xe9");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        addressesAsTheyStand([pieces.join("")]);
        addressGroups(pieces.join(""), "koi8-r");
      }),
    );
  });
});
