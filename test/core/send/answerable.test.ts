import { describe, expect, it } from "vitest";
import { readHeader } from "../../../src/core/mime/header.ts";
import { whyNotAnswered } from "../../../src/core/send/answerable.ts";

const OWN = new Set(["ann@example.org", "sales@example.org"]);
const why = (
  fields: readonly string[],
  { from = "zoe@example.net", dmarc = null as string | null, to = "ann@example.org" } = {},
) =>
  whyNotAnswered({
    header: readHeader(
      new TextEncoder().encode(
        `From: zoe@example.net\r\nTo: ${to}\r\n${fields.map((one) => `${one}\r\n`).join("")}\r\n`,
      ),
    ),
    from,
    results: { dmarc },
    owns: (address) => OWN.has(address.toLowerCase()),
  });

describe("a vacation notice answers", () => {
  it.each([
    [[]],
    [["Auto-Submitted: no"]],
    [["Auto-Submitted: No (a person wrote it)"]],
    [["Precedence: first-class"]],
    [["X-Auto-Response-Suppress: None"]],
    [["Subject: List-Id: x"]],
  ])("a person's letter: %j", (fields) => expect(why(fields)).toBeNull());

  it("one whose sender could not be looked at, or is what they say", () => {
    for (const dmarc of [null, "none", "pass", "temperror"]) expect(why([], { dmarc })).toBeNull();
  });

  it.each([
    "To: Ann <ANN@example.org>",
    "Cc: x@example.net, Sales <sales@example.org>",
    "Resent-To: ann@example.org",
    "Resent-Cc: ann@example.org",
    "Cc: Friends: ann@example.org;",
  ])("what names its owner or an alias: %s", (field) => expect(why([field], { to: "list@example.net" })).toBeNull());

  it.each([
    [["Auto-Submitted: auto-replied"], "automatic"],
    [["Auto-Submitted: auto-generated; type=x"], "automatic"],
    [["Auto-Submitted: now"], "automatic"],
    [["List-Id: <news.example.net>"], "mailing_list"],
    [["List-Unsubscribe: <mailto:x@example.net>"], "mailing_list"],
    [["Precedence: bulk"], "mailing_list"],
    [["precedence:  List"], "mailing_list"],
    [["Precedence: junk"], "mailing_list"],
    [["X-Auto-Response-Suppress: DR, OOF, AutoReply"], "suppressed"],
    [["X-Auto-Response-Suppress: All"], "suppressed"],
  ])("but not %j", (fields, reason) => expect(why(fields)).toBe(reason));

  it.each([
    ["", "no_sender"],
    ["MAILER-DAEMON@example.net", "no_person"],
    ["owner-news@example.net", "no_person"],
    ["news-request@example.net", "no_person"],
    ["news-owner@example.net", "no_person"],
    ["noreply@example.net", "no_person"],
    ["No-Reply@example.net", "no_person"],
    ["shop-noreply@example.net", "no_person"],
    ["do_not_reply@example.net", "no_person"],
    ["bounces+4711-ann=example.org@example.net", "no_person"],
    ["listserv@example.net", "no_person"],
    ["sales@example.org", "own_address"],
  ])("nor <%s>", (from, reason) => expect(why([], { from })).toBe(reason));

  it.each(["norbert@example.net", "conor.eply@example.net", "request@example.net", "ownership@example.net"])(
    "though it does <%s>",
    (from) => expect(why([], { from })).toBeNull(),
  );

  it("nor what failed DMARC, nor what came by a list or a blind copy that does not name its owner", () => {
    expect(why([], { dmarc: "fail" })).toBe("not_authentic");
    expect(why([], { to: "friends@example.net" })).toBe("not_addressed");
    expect(why(["X-To: ann@example.org"], { to: "friends@example.net" })).toBe("not_addressed");
  });
});
