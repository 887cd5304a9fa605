/** A customer's own server sends through us, and nobody else does. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Submitter } from "../../../src/core/protocol/gateway/frames.ts";
import { OTHERS_HOUR } from "../../../src/core/send/limits.ts";
import { addDomain, asOperator } from "../access/client.ts";
import { createSender, flush, type Sender, text } from "../send/sending.ts";
import { letter, relay, STRANGER, submitAs, ticket } from "./client.ts";

const D = "smart.example.org";
const SERVER = "198.41.0.10";
const OUTSIDE = "zoe@example.net";
let sender: Sender;
let login: Submitter;
const certificate = "ab".repeat(32);

beforeAll(async () => {
  sender = await createSender(D);
  await addDomain("other-customer.example");
  await relay(D, { address: SERVER });
  await relay(D, { certificate });
  const made = await relay(D, { login: true });
  login = await ticket(made.username, made.password);
});
beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  await flush(D);
  await sender.smartHost.forget();
});

const server = { ip: SERVER };

describe("what a customer's server sends", () => {
  it.each<[string, () => Parameters<typeof submitAs>[0]]>([
    ["its address", () => server],
    ["its certificate", () => ({ shown: { certificate } })],
    ["its login", () => ({ shown: login })],
  ])("known by %s goes out octet for octet, with one Received of ours on top", async (_name, who) => {
    const octets = letter(`Ann <ann@${D}>`, {
      fields: ["DKIM-Signature: v=1; a=x", "Received: from desk by mail.example.org; now"],
    });
    const said = await submitAs(who(), `ann@${D}`, [OUTSIDE, "Yan@Example.net"], octets);
    expect(said).toMatchObject({
      mail: { code: 250 },
      recipients: [{ code: 250 }, { code: 250 }],
      final: { code: 250 },
    });
    await flush(D);
    const [message, ...others] = await sender.smartHost.messages();
    expect(others).toEqual([]);
    expect(message).toMatchObject({ from: `ann@${D}`, to: [OUTSIDE, "Yan@Example.net"] });
    const raw = text(message?.raw ?? new Uint8Array());
    expect(raw.endsWith(octets)).toBe(true);
    const top = raw.slice(0, raw.length - octets.length);
    expect(top).toMatch(
      /^Received: from mail\.example\.org \(\[198\.41\.0\.\d+\]\)\r\n\tby mx\.holdfast\.test \(Holdfast\) with ESMTPSA id [0-9A-Z]{26}\r\n\t; .*\r\n$/,
    );
  });

  it("is in the archive of its author, as outgoing, and in nobody else's; Sent is for people", async () => {
    await submitAs(server, `ann@${D}`, [OUTSIDE], letter(`Sales <Sales@${D}>`, { subject: "Archived once" }));
    const found = await asOperator("GET", `/api/archive?domain=${D}&q=archived&direction=out`);
    expect(found.body.items).toMatchObject([{ subject: "Archived once" }]);
    const theirs = await asOperator("GET", `/api/archive?mailbox=bob@${D}&q=archived`);
    expect(theirs.body.items).toEqual([]);
  });

  it("sent again because its answer was lost is answered 250 and goes once", async () => {
    const octets = letter(`ann@${D}`);
    const first = await submitAs(server, `ann@${D}`, [OUTSIDE], octets);
    const second = await submitAs(server, `ann@${D}`, [OUTSIDE], octets);
    expect([first.final, second.final]).toMatchObject(
      [
        { code: 250, text: /^Accepted as/ },
        { code: 250, text: /before/ },
      ].map(({ code, text }) => ({ code, text: expect.stringMatching(text) })),
    );
    await flush(D);
    expect(await sender.smartHost.messages()).toHaveLength(1);
  });

  it("with the null sender goes out: reports of failure and out-of-office replies", async () => {
    const said = await submitAs(server, "", [OUTSIDE], letter(`MAILER-DAEMON@mail.${D}`));
    expect(said.final).toMatchObject({ code: 250 });
    await flush(D);
    expect(await sender.smartHost.messages()).toMatchObject([{ from: "", to: [OUTSIDE] }]);
  });

  it("that it forwards keeps its foreign sender, and is in nobody's archive", async () => {
    const octets = letter("Stranger <s@elsewhere.example>", { subject: "Forwarded thing" });
    expect((await submitAs(server, "s@elsewhere.example", [OUTSIDE], octets)).final).toMatchObject({ code: 250 });
    await flush(D);
    expect(await sender.smartHost.messages()).toMatchObject([{ from: "s@elsewhere.example" }]);
    const found = await asOperator("GET", `/api/archive?domain=${D}&q=forwarded`);
    expect(found.body.items).toEqual([]);
  });

  it("to a colleague is in their inbox at once in an outage", async () => {
    const octets = letter(`ann@${D}`, { subject: "From the server" });
    expect((await submitAs(server, `ann@${D}`, [`bob@${D}`], octets)).final).toMatchObject({ code: 250 });
    await flush(D);
    const found = await asOperator("GET", `/api/archive?mailbox=bob@${D}&q=server&direction=in`);
    expect(found.body.items).toMatchObject([{ subject: "From the server" }]);
    expect(await sender.smartHost.messages()).toEqual([]);
  });

  it("large goes out as it is", async () => {
    const octets = letter(`ann@${D}`, { body: `${"0123456789abcdef".repeat(4)}\r\n`.repeat(25_000) });
    expect((await submitAs(server, `ann@${D}`, [OUTSIDE], octets)).final).toMatchObject({ code: 250 });
    await flush(D);
    const [message] = await sender.smartHost.messages();
    expect(text(message?.raw ?? new Uint8Array()).endsWith(octets)).toBe(true);
  });

  it("for other domains is too much at some point: later, so that its own queue keeps it; its own mail goes on", async () => {
    const made = await relay(D, { address: "198.41.0.77" });
    const recipients = (from: number, count: number) =>
      Array.from({ length: count }, (_, at) => `r${from + at}@example.net`);
    const refuseAll = Array.from({ length: OTHERS_HOUR / 100 }, (_, at) => recipients(at * 100, 100));
    for (const some of refuseAll) {
      expect((await submitAs({ ip: "198.41.0.77" }, "", some, letter(`MAILER-DAEMON@${D}`))).final).toMatchObject({
        code: 250,
      });
    }
    const over = await submitAs({ ip: "198.41.0.77" }, "", [OUTSIDE], letter(`MAILER-DAEMON@${D}`));
    expect(over.final).toMatchObject({ code: 451, enhanced: "4.7.1" });
    expect((await submitAs({ ip: "198.41.0.77" }, `ann@${D}`, [OUTSIDE], letter(`ann@${D}`))).final).toMatchObject({
      code: 250,
    });
    await asOperator("DELETE", `/api/domains/${D}/relays/${made.id}`);
    await env.SHARD_0.exec("DELETE FROM outgoing_recipient");
  });
});

describe("a stranger never relays", () => {
  /** RFC 5321 §7, and what open-relay testers try. */
  const TRICKS: [string, string, string][] = [
    ["plainly", "spammer@example.net", "victim@example.com"],
    ["with the null sender", "", "victim@example.com"],
    ["as one of our users", `ann@${D}`, "victim@example.com"],
    ["as our postmaster", `postmaster@${D}`, "victim@example.com"],
    ["as this server itself", "root@mx.holdfast.test", "victim@example.com"],
    ["as somebody at an address", `ann@[${SERVER}]`, "victim@example.com"],
    ["by the percent hack", "spammer@example.net", `victim%example.com@${D}`],
    ["by the percent hack at an address", "spammer@example.net", `victim%example.com@[${SERVER}]`],
    ["by a quoted local part", "spammer@example.net", `"victim@example.com"@${D}`],
    ["by a quoted whole", "spammer@example.net", '"victim%example.com"'],
    ["by a source route", "spammer@example.net", `@${D}:victim@example.com`],
    ["by a route of two", "spammer@example.net", `@mx.holdfast.test,@${D}:victim@example.com`],
    ["by a bang path", "spammer@example.net", `example.com!victim@${D}`],
    ["by a bang path and percent", "spammer@example.net", `example.com!victim%${D}`],
    ["to two domains at once", "spammer@example.net", `victim@example.com@${D}`],
    ["to a user of ours, as another", `ann@${D}`, `bob@${D}`],
  ];

  it.each(TRICKS)("%s: MAIL is refused", async (_name, from, to) => {
    const said = await submitAs({ ip: STRANGER }, from, [to], letter(from));
    expect(said.mail).toMatchObject({ code: 530, enhanced: "5.7.0" });
    expect(said.final).toBeNull();
    expect(await queued()).toBe(0);
  });

  it.each<[string, object]>([
    ["somebody else's certificate", { certificate: "cd".repeat(32) }],
    ["a ticket of nobody's", { ticket: "k1.AAAA" }],
  ])("nor with %s", async (_name, shown) => {
    expect((await submitAs({ shown }, `ann@${D}`, [OUTSIDE], letter(`ann@${D}`))).mail).toMatchObject({ code: 530 });
  });

  it("nor does the neighbour of a known address", async () => {
    expect((await submitAs({ ip: "198.41.0.11" }, `ann@${D}`, [OUTSIDE], letter("x"))).mail).toMatchObject({
      code: 530,
    });
  });

  it("a server that was taken away relays no more, at once, with the login that it has open", async () => {
    const made = await relay(D, { login: true });
    const shown = await ticket(made.username, made.password);
    expect((await submitAs({ shown }, `ann@${D}`, [OUTSIDE], letter(`ann@${D}`))).final).toMatchObject({ code: 250 });
    await asOperator("DELETE", `/api/domains/${D}/relays/${made.id}`);
    expect((await submitAs({ shown }, `ann@${D}`, [OUTSIDE], letter(`ann@${D}`))).mail).toMatchObject({ code: 530 });
  });
});

describe("a known server", () => {
  it("may not send as another customer's domain: our good name would vouch for it", async () => {
    const said = await submitAs(
      server,
      "boss@other-customer.example",
      [OUTSIDE],
      letter("boss@other-customer.example"),
    );
    expect(said.mail).toMatchObject({
      code: 550,
      enhanced: "5.7.1",
      text: expect.stringContaining("other-customer.example"),
    });
  });

  it("may send as a further domain that it was given", async () => {
    const more = "further.example.org";
    const further = await createSender(more);
    const made = await relay(D, { login: true, senders: [more] });
    const shown = await ticket(made.username, made.password);
    expect((await submitAs({ shown }, `ann@${more}`, [OUTSIDE], letter(`ann@${more}`))).final).toMatchObject({
      code: 250,
    });
    await flush(more);
    expect(await further.smartHost.messages()).toMatchObject([{ from: `ann@${more}` }]);
  });

  it("that shares its address with another customer's is told by its sender, or has to log in", async () => {
    await createSender("neighbour.example.org");
    await relay("neighbour.example.org", { address: "198.41.1.1" });
    await relay(D, { address: "198.41.1.1" });
    const shared = { ip: "198.41.1.1" };
    expect((await submitAs(shared, "ann@neighbour.example.org", [OUTSIDE], letter("x@y.test"))).final).toMatchObject({
      code: 250,
    });
    const report = letter("MAILER-DAEMON@neighbour.example.org");
    expect((await submitAs(shared, "", [OUTSIDE], report)).final).toMatchObject({ code: 250 });
    const nobodys = await submitAs(shared, "", [OUTSIDE], letter("MAILER-DAEMON@elsewhere.example"));
    expect(nobodys.final).toMatchObject({ code: 550, text: expect.stringContaining("log in") });
  });

  it.each<[string, string]>([
    ["no address", "nobody"],
    ["an address literal", "x@[192.0.2.1]"],
    ["two addresses", "a@b.test@c.test "],
  ])("hears what is wrong with a recipient: %s", async (_name, to) => {
    expect((await submitAs(server, `ann@${D}`, [to], letter("x"))).recipients).toMatchObject([
      { code: 501, enhanced: "5.1.3" },
    ]);
  });

  it("is told to come again where the directory does not answer", async () => {
    await env.DIRECTORY.exec("ALTER TABLE relay RENAME TO relay_away");
    const said = await submitAs(server, `ann@${D}`, [OUTSIDE], letter(`ann@${D}`));
    await env.DIRECTORY.exec("ALTER TABLE relay_away RENAME TO relay");
    expect(said.mail).toMatchObject({ code: 451, enhanced: "4.3.0" });
  });

  it("keeps the message where it cannot be stored", async () => {
    await env.SHARD_0.exec("ALTER TABLE outgoing RENAME TO outgoing_away");
    const said = await submitAs(server, `ann@${D}`, [OUTSIDE], letter(`ann@${D}`));
    await env.SHARD_0.exec("ALTER TABLE outgoing_away RENAME TO outgoing");
    expect(said.final).toMatchObject({ code: 451, enhanced: "4.3.0" });
  });
});

async function queued(): Promise<number> {
  return (
    (await env.SHARD_0.prepare("SELECT count(*) AS n FROM outgoing WHERE sender LIKE '%spammer%'").first<number>(
      "n",
    )) ?? 0
  );
}
