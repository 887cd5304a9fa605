import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { addCustomer, addDomain, addUser, asOperator, call, json, OPERATOR } from "./client.ts";
import { deposit, message } from "./deposit.ts";

let alice = "";
let bob = "";
let own = "";
let stranger = "";

const BOUNDARY = "=_b";
const OCTETS = [
  "Received: from a by b",
  "From: =?iso-8859-1?q?J=FCrgen?= <j@example.net>",
  "To: alice@example.org",
  "Subject: Quarterly numbers",
  "MIME-Version: 1.0",
  `Content-Type: multipart/mixed; boundary="${BOUNDARY}"`,
  "",
  `--${BOUNDARY}`,
  "Content-Type: text/plain; charset=utf-8",
  "",
  "The budget is attached.",
  `--${BOUNDARY}`,
  'Content-Type: text/html; name="na\u00efve.html"',
  'Content-Disposition: attachment; filename="b\u00fcdget \\"1\\".html"',
  "Content-Transfer-Encoding: base64",
  "",
  btoa("<script>alert(1)</script>"),
  `--${BOUNDARY}--`,
  "",
].join("\r\n");

beforeAll(async () => {
  await addDomain("example.org");
  await addDomain("example.net");
  alice = await addUser("alice@example.org");
  bob = await addUser("bob@example.org");
  await addUser("zoe@example.net");
  own = await addCustomer(1, "example.org");
  stranger = await addCustomer(2, "example.net");
  await deposit({ mailbox: "alice@example.org", octets: OCTETS, portal: false });
  await deposit({ mailbox: "alice@example.org", octets: message("Lunch"), portal: false });
  await deposit({ mailbox: "bob@example.org", octets: message("Bob's own"), portal: false });
  await deposit({ mailbox: "zoe@example.net", octets: message("Of another domain"), portal: false });
});

const subjects = async (query: string, token: string): Promise<unknown> => {
  const { status, body } = await json("GET", `/api/archive?${query}`, { token });
  return status === 200 ? (body.items as { subject: string }[]).map(({ subject }) => subject) : [status, body.detail];
};
const idOf = async (subject: string, token = OPERATOR, domain = "example.org"): Promise<string> => {
  const { body } = await json("GET", `/api/archive?domain=${domain}&subject=${encodeURIComponent(subject)}`, { token });
  return (body.items as { id: string }[])[0]?.id ?? "none";
};

describe("a search of the archive", () => {
  it("of a user finds their own mail and no one else's", async () => {
    expect(await subjects("", alice)).toEqual(["Lunch", "Quarterly numbers"]);
    expect(await subjects("q=budget", alice)).toEqual(["Quarterly numbers"]);
    expect(await subjects("q=own", alice)).toEqual([]);
    expect(await subjects("mailbox=ALICE@example.org&domain=Example.org", alice)).toEqual([
      "Lunch",
      "Quarterly numbers",
    ]);
  });

  it("of a user does not reach beyond their mailbox, whatever they ask", async () => {
    const refused = [403, "You can search your own mailbox only."];
    for (const query of ["mailbox=bob@example.org", "domain=example.net", "mailbox=x", "domain=ample.org"]) {
      expect(await subjects(query, alice), query).toEqual(refused);
    }
  });

  it("of an administrator finds the mail of their domains, one mailbox of it, and nothing of others'", async () => {
    expect(await subjects("domain=example.org", own)).toEqual(["Bob's own", "Lunch", "Quarterly numbers"]);
    expect(await subjects("mailbox=bob@example.org", own)).toEqual(["Bob's own"]);
    expect(await subjects("domain=example.net", own)).toEqual([404, "There is no domain example.net."]);
    expect(await subjects("mailbox=zoe@example.net", own)).toEqual([404, "There is no domain example.net."]);
    expect(await subjects("domain=example.org&mailbox=zoe@example.net", own)).toEqual([
      404,
      "There is no mailbox zoe@example.net in example.org.",
    ]);
    expect(await subjects("", own)).toEqual([422, "domain: is missing: name the domain to search"]);
  });

  it("is narrowed by sender, recipient, subject, date and direction, and comes in pages", async () => {
    expect(await subjects("from=j@example.net", alice)).toEqual(["Quarterly numbers"]);
    expect(await subjects("subject=lunch", alice)).toEqual(["Lunch"]);
    expect(await subjects("to=alice&direction=in", alice)).toEqual(["Lunch", "Quarterly numbers"]);
    expect(await subjects("direction=out", alice)).toEqual([]);
    expect(await subjects("since=2000-01-01&until=2001-01-01T00:00:00Z", alice)).toEqual([]);
    const { body } = await json("GET", "/api/archive?limit=1", { token: alice });
    expect(await subjects(`limit=1&cursor=${String(body.next)}`, alice)).toEqual(["Quarterly numbers"]);
  });

  it("has a language of its own, which says what is wrong with what was typed", async () => {
    const q = (text: string) => subjects(`q=${encodeURIComponent(text)}`, alice);
    expect(await q("subject:lunch or filename:budget")).toEqual(["Lunch", "Quarterly numbers"]);
    expect(await q("has:attachment")).toEqual(["Quarterly numbers"]);
    expect(await q("-has:attachment")).toEqual(["Lunch"]);
    expect(await q("from:j\u00fcrgen -lunch")).toEqual(["Quarterly numbers"]);
    expect(await q("is:outgoing")).toEqual([]);
    expect(await q("before:tomorow")).toEqual([
      422,
      "before:tomorow is no date: write before: and 2026-11-24, 2026-11, 2026, today or yesterday.",
    ]);
    expect(await q(Array.from({ length: 81 }, (_, n) => `w${n}`).join(" "))).toEqual([
      422,
      "The search has more than 80 words and conditions: leave some out.",
    ]);
  });

  it("shows where the words stand, as HTML that is safe, where that is asked for", async () => {
    const of = async (query: string) =>
      ((await json("GET", `/api/archive?${query}`, { token: alice })).body.items as { highlights?: unknown }[])[0]
        ?.highlights;
    expect(await of("q=budget")).toBeUndefined();
    expect(await of("q=budget%20numb&highlights=true")).toEqual({
      subject: "Quarterly <mark>numbers</mark>",
      preview: "The <mark>budget</mark> is attached.",
    });
    expect(await of("subject=quarterly&highlights=true")).toEqual({
      subject: "<mark>Quarterly</mark> numbers",
      preview: null,
    });
  });

  it.each([
    ["since=yesterday", 400, "since: must be a date such as 2026-11-24 or 2026-11-24T10:00:00Z"],
    ["direction=up", 400, "direction: must be one of: in, out"],
    ["cursor=x", 422, "cursor: is not a cursor of this list"],
    ["order=asc", 400, "order: unknown setting"],
  ])("with %s is refused", async (query, status, sentence) => {
    expect(await subjects(query, alice)).toEqual([status, sentence]);
  });

  it("takes what people type as words, never as a query language", async () => {
    for (const q of ['"', "a AND", "NEAR(", "scope:a1", "*", "^x", "-x", "'; DROP TABLE message", "{head}:x"]) {
      expect(Array.isArray(await subjects(`q=${encodeURIComponent(q)}`, alice)), q).toBe(true);
    }
    expect(await subjects(`q=${encodeURIComponent("scope:in")}`, alice)).toEqual([]);
  });
});

describe("an archived message", () => {
  it("opens with its headers, text and attachments", async () => {
    const { status, body } = await json("GET", `/api/archive/${await idOf("Quarterly")}`, { token: alice });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      subject: "Quarterly numbers",
      from: [{ name: "J\u00fcrgen", address: "j@example.net" }],
      recipient: "alice@example.org",
      direction: "in",
      html: null,
      attachments: [{ n: 0, type: "text/html", size: 25 }],
    });
    expect(body.text).toContain("The budget is attached.");
    expect((body.headers as { name: string }[]).map(({ name }) => name.toLowerCase())).toContain("received");
  });

  it("is given out as the very octets that were received", async () => {
    const response = await call("GET", `/api/archive/${await idOf("Quarterly")}/raw`, { token: alice });
    expect(response.headers.get("content-type")).toBe("message/rfc822");
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new TextEncoder().encode(OCTETS));
  });

  it("gives an attachment as a download that no browser runs", async () => {
    const id = await idOf("Quarterly");
    const response = await call("GET", `/api/archive/${id}/attachments/0`, { token: alice });
    expect(await response.text()).toBe("<script>alert(1)</script>");
    expect(response.headers.get("content-disposition")).toMatch(
      /^attachment; filename="[\x20-\x7e]+"; filename\*=UTF-8''b/,
    );
    expect(response.headers.get("content-security-policy")).toBe("default-src 'none'; sandbox");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    for (const n of ["1", "-1", "x", "99999"]) {
      const none = await json("GET", `/api/archive/${id}/attachments/${n}`, { token: alice });
      expect([none.status, none.body.detail], n).toEqual([404, "There is no such attachment."]);
    }
  });

  it("is nobody else's, by any of its addresses", async () => {
    const id = await idOf("Quarterly");
    for (const tail of ["", "/raw", "/attachments/0"]) {
      for (const token of [bob, stranger]) {
        const { status, body } = await json("GET", `/api/archive/${id}${tail}`, { token });
        expect([status, body.detail], tail).toEqual([404, "There is no such message in your archive."]);
        expect((await call("GET", `/archive/${id}${tail}`, { token })).status, tail).toBe(404);
      }
      expect((await call("GET", `/api/archive/${id}${tail}`, { token: own })).status, tail).toBe(200);
    }
    expect((await json("POST", `/api/archive/${id}/redeliver`, { token: bob })).status).toBe(404);
    expect((await json("POST", `/api/archive/${id}/redeliver`, { token: stranger })).status).toBe(404);
  });

  it("whose number is none is not found", async () => {
    for (const id of ["0-0", "1-1", "x", "0-99999", "-1", "0-1-1"]) {
      expect((await json("GET", `/api/archive/${id}`, { token: OPERATOR })).status, id).toBe(404);
    }
  });
});

describe("a message delivered again", () => {
  const again = async (id: string, token: string, body?: unknown) => {
    const answer = await json("POST", `/api/archive/${id}/redeliver`, { token, ...(body !== undefined && { body }) });
    return answer.status === 200 ? answer.body.outcome : [answer.status, answer.body.detail];
  };
  const inbox = async (token: string) => {
    const { body } = await json("GET", "/api/mail/messages", { token });
    return (body.items as { subject: string; waiting: boolean }[]).map(({ subject, waiting }) => [subject, waiting]);
  };

  it("in emergency mode is in the inbox, and waits for nothing", async () => {
    await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
    expect(await again(await idOf("Lunch", alice), alice)).toBe("portal");
    expect(await inbox(alice)).toEqual([["Lunch", false]]);
    expect(await again(await idOf("Lunch"), own, { to: "Bob@example.org" })).toBe("portal");
    expect(await inbox(bob)).toEqual([["Lunch", false]]);
    const events = await asOperator("GET", "/api/domains/example.org/events?limit=1");
    expect(events.body.items).toMatchObject([
      {
        kind: "archive_redelivered",
        actor: "admin@customer-1.test",
        data: { outcome: "portal", to: "bob@example.org" },
      },
    ]);
  });

  it("goes to no one but the user who asks, and to no one outside the domain", async () => {
    const id = await idOf("Lunch", alice);
    expect(await again(id, alice, { to: "bob@example.org" })).toEqual([
      403,
      "to: you can have a message delivered to your own mailbox only.",
    ]);
    const none = [422, "to: must be the address of a mailbox of the domain that the message belongs to"];
    for (const to of ["someone@elsewhere.test", "zoe@example.net", "nobody@example.org", ""]) {
      expect(await again(id, own, { to }), to).toEqual(none);
    }
    expect(await again(id, own, { cc: "x" })).toEqual([422, "cc: unknown setting"]);
  });

  it("of an alias comes to the user who asks, not to its other holders", async () => {
    for (const name of ["alice", "bob"]) {
      await asOperator("PUT", `/api/domains/example.org/mailboxes/${name}@example.org`, { aliases: ["info"] });
    }
    await deposit({
      mailbox: "alice@example.org",
      to: "info@example.org",
      octets: message("To the alias"),
      portal: false,
    });
    expect(await again(await idOf("To the alias"), alice)).toBe("portal");
    expect((await inbox(alice)).map(([subject]) => subject)).toContain("To the alias");
    expect((await inbox(bob)).map(([subject]) => subject)).not.toContain("To the alias");
  });

  it("in normal mode says that the origin does not answer, and leaves the inbox alone", async () => {
    await asOperator("PUT", "/api/domains/example.net", { origin: { host: "127.0.0.1", port: 9, tls: "none" } });
    expect(await again(await idOf("Of another", OPERATOR, "example.net"), stranger)).toBe("unavailable");
  });
});

describe("the archive's pages", () => {
  it("search and show a message", async () => {
    const text = async (url: string, token: string) => (await call("GET", url, { token })).text();
    expect(await text("/archive?q=budget", alice)).toContain("Quarterly numbers");
    expect(await text("/archive?q=nothing-like-it", alice)).toContain("Nothing was found.");
    expect(await text("/archive?domain=example.org", own)).toContain("Lunch");
    const page = await text(`/archive/${await idOf("Quarterly")}`, alice);
    expect(page).toContain("The budget is attached.");
    expect(page).toContain("/attachments/0");
    expect(page).toContain("Deliver again");
    expect((await call("GET", "/archive?domain=example.net", { token: own })).status).toBe(404);
  });

  it("say so when the stored octets are gone", async () => {
    await deposit({ mailbox: "bob@example.org", octets: message("Lost"), portal: false });
    const id = await idOf("Lost");
    const key = await env.SHARD_0.prepare("SELECT key FROM message WHERE id = ?1")
      .bind(Number(id.slice(2)))
      .first<string>("key");
    await env.MAIL.delete(key ?? "");
    const { status, body } = await json("GET", `/api/archive/${id}/raw`, { token: bob });
    expect([status, body.detail]).toEqual([404, "There is no stored copy of this message."]);
    const opened = await json("GET", `/api/archive/${id}`, { token: bob });
    expect([opened.status, opened.body.detail]).toEqual([404, "There is no stored copy of this message."]);
  });
});
