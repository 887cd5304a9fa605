/** Copies of mail that customers' servers send: taken apart, in the archive of whom they are of, once, and in nobody's inbox. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { asOperator, call, type Json, OPERATOR } from "../access/client.ts";
import { createOrganisation, must, type Organisation, send, sendByEmailRouting } from "../receive/organisation.ts";
import { envelope, type Message, message as messageOf, octets, report } from "./mail.ts";

const D = "journal.example.org";
let organisation: Organisation;
let reports: string;
let copies: string;
let count = 0;

beforeAll(async () => {
  organisation = await createOrganisation(D);
  await createOrganisation("other.example.org");
  reports = String((await must("POST", `/api/domains/${D}/journal-addresses`, { format: "reports" })).address);
  copies = String((await must("POST", `/api/domains/${D}/journal-addresses`, { format: "copies" })).address);
});
beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => undefined));

const ann = `ann@${D}`;
const bob = `bob@${D}`;

/** From ann, unless it says otherwise. */
const message = (more: Omit<Message, "from"> & { readonly from?: string }) => messageOf({ from: ann, ...more });

async function found(query: string): Promise<Json[]> {
  return (await asOperator("GET", `/api/archive?${query}`)).body.items as Json[];
}

async function rawOf(item: Json | undefined): Promise<string> {
  const response = await call("GET", `/api/archive/${String(item?.id)}/raw`, { token: OPERATOR });
  return response.text();
}

async function events(kind: string): Promise<Json[]> {
  const items = (await asOperator("GET", `/api/domains/${D}/events`)).body.items as Json[];
  return items.filter((event) => event.kind === kind);
}

async function objects(): Promise<number> {
  return (await env.MAIL.list({ limit: 1000 })).objects.length;
}

describe("a journal report", () => {
  it("leaves the message itself in the archive of its sender, octet for octet, as outgoing", async () => {
    const sent = message({
      subject: "Unwrapped alpha",
      fields: ["DKIM-Signature: v=1; b=x"],
      body: "Dots:\r\n.\r\n..\r\nend\r\n",
    });
    const { rcpt, final } = await send([reports], octets(report(envelope(ann, "zoe@example.net"), sent)));
    expect([rcpt[0]?.code, final?.code]).toEqual([250, 250]);
    const [item, ...others] = await found(`domain=${D}&q=alpha`);
    expect(others).toEqual([]);
    expect(item).toMatchObject({ subject: "Unwrapped alpha", direction: "out" });
    expect(await rawOf(item)).toBe(sent);
  });

  it("of mail between colleagues is outgoing for one and incoming for the others who are covered, lists expanded", async () => {
    const text = [...envelope(ann, `dan@${D}`), `Cc: ${bob}, Expanded: everyone@${D}`, "Bcc: zoe@example.net"];
    await send([reports], octets(report(text, message({ subject: "Internal beta", to: `everyone@${D}` }))));
    expect(await found(`mailbox=${ann}&q=beta`)).toMatchObject([{ direction: "out" }]);
    expect(await found(`mailbox=${bob}&q=beta`)).toMatchObject([{ direction: "in" }]);
    expect(await found(`domain=${D}&q=beta`)).toHaveLength(2);
  });

  it("of one message, several times and with other recipients each time, leaves one copy", async () => {
    const sent = message({ subject: "Bifurcated gamma", to: "zoe@example.net" });
    await send([reports], octets(report(envelope(ann, "zoe@example.net"), sent)));
    const before = await objects();
    await send([reports], octets(report(envelope(ann, bob, "yan@example.net"), sent)));
    await send([reports], octets(report(envelope(ann, bob, "yan@example.net"), sent)));
    expect(await found(`domain=${D}&q=gamma&direction=out`)).toHaveLength(1);
    expect(await found(`domain=${D}&q=gamma&direction=in`)).toHaveLength(1);
    expect(await objects()).toBe(before + 1);
  });

  it("of a message to all of a company is a copy for each who is covered, octets for a hundred of them together", async () => {
    const company = "company.example.org";
    await createOrganisation(company);
    const boxes = Array.from({ length: 250 }, (_, at) => ({ address: `staff${at}@${company}`, covered: true }));
    await must("POST", `/api/domains/${company}/mailboxes`, { mailboxes: boxes });
    const to = String((await must("POST", `/api/domains/${company}/journal-addresses`, { format: "reports" })).address);
    const sent = message({ from: `ann@${company}`, to: `all@${company}`, subject: "Company omega" });
    const before = await objects();
    const recipients = boxes.map(({ address }) => address).concat(`bob@${company}`, `dan@${company}`);
    const { final } = await send([to], octets(report(envelope(`ann@${company}`, ...recipients), sent)));
    expect(final?.code).toBe(250);
    const copies = env.SHARD_0.prepare(
      "SELECT direction, count(*) AS n FROM message WHERE subject = 'Company omega' GROUP BY direction ORDER BY direction",
    );
    expect((await copies.all()).results).toEqual([
      { direction: "in", n: 251 },
      { direction: "out", n: 1 },
    ]);
    expect(await objects()).toBe(before + 4);
  });

  it("of what was sent on somebody's behalf is in both archives", async () => {
    const text = [`Sender: ${bob}`, `On-Behalf-Of: ${ann}`, "Subject: x", "To: zoe@example.net"];
    await send([reports], octets(report(text, message({ subject: "Behalf delta" }))));
    expect(await found(`mailbox=${ann}&q=delta`)).toHaveLength(1);
    expect(await found(`mailbox=${bob}&q=delta`)).toHaveLength(1);
  });

  it("of mail from outside leaves nothing: it was archived on its way in", async () => {
    const before = await objects();
    const { final } = await send(
      [reports],
      octets(
        report(envelope("zoe@example.net", ann), message({ from: "zoe@example.net", subject: "Outside epsilon" })),
      ),
    );
    expect(final?.code).toBe(250);
    expect(await found(`domain=${D}&q=epsilon`)).toEqual([]);
    expect(await objects()).toBe(before);
  });

  it("of whoever is not covered leaves nothing", async () => {
    await send(
      [reports],
      octets(report(envelope(`dan@${D}`, "zoe@example.net"), message({ from: `dan@${D}`, subject: "Uncovered zeta" }))),
    );
    expect(await found(`domain=${D}&q=zeta`)).toEqual([]);
  });

  it("with its message in base64 is unwrapped too", async () => {
    const sent = message({ subject: "Encoded eta", body: `${"é".repeat(50)}\r\n` });
    const base64 = Buffer.from(octets(sent)).toString("base64").replace(/.{76}/g, "$&\r\n");
    await send([reports], octets(report(envelope(ann, "zoe@example.net"), base64, "base64")));
    const [item] = await found(`domain=${D}&q=eta`);
    expect(await rawOf(item)).toBe(sent);
  });

  it.each([
    ["as it is", "8bit"],
    ["in base64", "base64"],
  ])("that is large leaves its message, and nothing besides: %s", async (name, encoding) => {
    const sent = message({
      subject: `Large theta ${name}`,
      body: `${"0123456789abcdef".repeat(4)}\r\n`.repeat(25_000),
    });
    const attached =
      encoding === "base64" ? Buffer.from(octets(sent)).toString("base64").replace(/.{76}/g, "$&\r\n") : sent;
    const before = await objects();
    expect(
      (await send([reports], octets(report(envelope(ann, "zoe@example.net"), attached, encoding)))).final?.code,
    ).toBe(250);
    const [item] = await found(`domain=${D}&q=${encodeURIComponent(`"theta ${name}"`)}`);
    expect(await rawOf(item)).toBe(sent);
    expect(await objects()).toBe(before + 1);
  });

  it("comes by Email Routing just as well", async () => {
    const mail = report(envelope(ann, "zoe@example.net"), message({ subject: "Routed iota" }));
    expect(
      await sendByEmailRouting(
        reports,
        octets(`Received: from mail.example.org (192.0.2.7)\r\n by cloudflare-email.net; x\r\n${mail}`),
      ),
    ).toMatchObject({ kind: "accepted" });
    expect(await found(`domain=${D}&q=iota`)).toHaveLength(1);
  });

  it("is in nobody's inbox, and no server of the domain is asked", async () => {
    // It is probed now and then; nobody is to be asked for.
    const asked = async () =>
      (await organisation.origin.report()).transcript.filter((line) => line.startsWith("C: RCPT")).length;
    const before = await asked();
    await send([reports], octets(report(envelope(ann, bob), message({ subject: "Quiet kappa" }))));
    expect(await asked()).toBe(before);
    const placed = await env.SHARD_0.prepare("SELECT count(*) AS n FROM placement").first<number>("n");
    expect(placed).toBe(0);
  });
});

describe("what cannot be read", () => {
  it.each<[string, string]>([
    ["a message that is no report", message({ subject: "Aside lambda 1" })],
    ["a report without a sender", report(["Subject: x", "To: a@b.test"], message({ subject: "Aside lambda 2" }))],
    [
      "a report without its message",
      message({
        subject: "Aside lambda 3",
        fields: ["X-MS-Journal-Report:", "Content-Type: multipart/mixed; boundary=b"],
        body: "--b\r\n\r\nSender: a@b.test\r\nTo: c@d.test\r\n--b--\r\n",
      }),
    ],
    ["what is no mail at all", "\u0000\u0001 lambda 4"],
    [
      "a large message that is no report",
      message({ subject: "Aside lambda 5", body: "x".repeat(78).concat("\r\n").repeat(20_000) }),
    ],
  ])("%s is kept aside for an administrator, who hears of it", async (_name, mail) => {
    const before = (await events("journal_unreadable")).length;
    const { final } = await send([reports], octets(mail));
    expect(final?.code).toBe(250);
    const [event] = await events("journal_unreadable");
    expect((await events("journal_unreadable")).length).toBe(before + 1);
    const data = event?.data as { id: string; key: string; why: string };
    expect(data.why).not.toBe("");
    const stored = await env.MAIL.get(data.key);
    expect(new Uint8Array(await (stored as R2ObjectBody).arrayBuffer())).toEqual(octets(mail));
    const row = await env.SHARD_0.prepare("SELECT account FROM message WHERE key = ?")
      .bind(data.key)
      .first<number>("account");
    expect(row).toBeLessThan(0);
    expect(JSON.stringify([event, stored?.customMetadata])).not.toContain(reports.split("@")[0]);
  });

  it("a forged report among plain copies is a message like any other: nobody's words are put into its sender's mouth", async () => {
    const forged = report(envelope(ann, "zoe@example.net"), message({ subject: "Forged mu" }));
    expect((await send([copies], octets(forged))).final?.code).toBe(250);
    expect(await found(`mailbox=${ann}&q=mu`)).toEqual([]);
  });
});

describe("a plain copy", () => {
  it("is outgoing for its author and incoming for colleagues whom it names", async () => {
    const sent = message({ subject: "Plain nu", to: `${bob}, zoe@example.net` });
    expect((await send([copies], octets(sent), { from: ann })).final?.code).toBe(250);
    const [item] = await found(`mailbox=${ann}&q=nu`);
    expect(item).toMatchObject({ direction: "out" });
    expect(await rawOf(item)).toBe(sent);
    expect(await found(`mailbox=${bob}&q=nu`)).toMatchObject([{ direction: "in" }]);
  });

  it("that is sent again leaves one", async () => {
    const sent = message({ subject: "Repeated xi" });
    for (let times = 0; times < 3; times++) await send([copies], octets(sent), { from: ann });
    expect(await found(`domain=${D}&q=xi`)).toHaveLength(1);
  });

  it("of mail that came through us is not kept twice, whatever its From says", async () => {
    const fields = ["Received: from x ([192.0.2.7])", "\tby mx.holdfast.test (Holdfast) with ESMTPS id 01X; now"];
    const inbound = message({ from: ann, subject: "Inbound omicron", fields: [fields.join("\r\n")] });
    await send([copies], octets(inbound), { from: ann });
    expect(await found(`domain=${D}&q=omicron`)).toEqual([]);
  });
});

describe("the message itself, which comes through us after its copy", () => {
  it.each([
    ["to a colleague", bob],
    ["to oneself", ann],
  ])("is delivered %s: a copy is no message", async (_name, to) => {
    const sent = message({ subject: `Copied first ${to}`, to });
    await send([copies], octets(sent), { from: ann });
    expect((await send([to], octets(sent), { from: ann })).final?.code).toBe(250);
    const taken = (await organisation.origin.messages()).filter(({ raw }) =>
      new TextDecoder().decode(raw).includes(`Copied first ${to}`),
    );
    expect(taken).toHaveLength(1);
  });
});

describe("whoever is not the domain's server", () => {
  it("does not guess the address: then it is one like any other", async () => {
    const wrong = reports.replace(/-./, "-7").replace(/.@/, "7@");
    const { rcpt } = await send([wrong], octets(message({ subject: "x" })));
    expect(rcpt[0]?.code).toBeGreaterThanOrEqual(500);
  });

  it("is refused from elsewhere where the sources are named, at RCPT, and by Email Routing by what it says of the sender", async () => {
    const made = await must("POST", `/api/domains/${D}/journal-addresses`, {
      format: "copies",
      sources: ["198.51.100.0/24", "192.0.2.64/26"],
    });
    const to = String(made.address);
    // Comes from 192.0.2.7.
    const { rcpt } = await send([to], octets(message({ subject: "Elsewhere pi" })));
    expect(rcpt).toMatchObject([{ code: 550, enhanced: "5.7.1" }]);
    const routed = (ip: string) =>
      octets(
        `Received: from mail (${ip})\r\n by cloudflare-email.net; x\r\n${message({ subject: `Routed pi ${ip}` })}`,
      );
    expect(await sendByEmailRouting(to, routed("192.0.2.7"))).toMatchObject({
      kind: "rejected",
      text: expect.stringMatching(/^550 5\.7\.1/),
    });
    // What a client calls itself is no address of its own.
    const lied = new TextDecoder().decode(routed("192.0.2.7")).replace("from mail (", "from [192.0.2.65] (");
    expect(await sendByEmailRouting(to, octets(lied))).toMatchObject({ kind: "rejected" });
    expect(await sendByEmailRouting(to, octets(message({ subject: "Nowhere pi" })))).toMatchObject({
      kind: "rejected",
      text: expect.stringMatching(/^550 5\.7\.1/),
    });
    expect(await sendByEmailRouting(to, routed("192.0.2.65"))).toMatchObject({ kind: "accepted" });
    expect(await found(`domain=${D}&q=pi`)).toHaveLength(1);
    expect(await events("journal_refused")).toHaveLength(3);
  });

  it("is refused once the address is taken away, at once", async () => {
    const made = await must("POST", `/api/domains/${D}/journal-addresses`, { format: "copies" });
    await must("DELETE", `/api/domains/${D}/journal-addresses/${made.id}`);
    expect((await send([String(made.address)], octets(message({ subject: "x" })))).rcpt[0]?.code).toBe(550);
  });

  it("cannot fill another customer's archive with it", async () => {
    const forged = message({ from: "ann@other.example.org", subject: "Foreign rho", to: "zoe@example.net" });
    await send([copies], octets(forged), { from: "ann@other.example.org" });
    expect(await found("domain=other.example.org&q=rho")).toEqual([]);
  });
});

it("a journal address comes in a transaction of its own", async () => {
  const { rcpt } = await send([copies, bob], octets(message({ subject: "x" })));
  expect(rcpt).toMatchObject([{ code: 250 }, { code: 452, enhanced: "4.5.3" }]);
  const second = await send([`ann@${D}`, copies], octets(message({ subject: "y" })));
  expect(second.rcpt).toMatchObject([{ code: 250 }, { code: 452, enhanced: "4.5.3" }]);
});

describe("where our own stores fail, the server keeps it and sends it again", () => {
  const failing = (more: Partial<Env>): Env => ({ ...(env as Env), ...more });
  const refusing = (method: "put" | "get") =>
    new Proxy(env.MAIL, {
      get: (bucket, name) =>
        name === method
          ? () => Promise.reject(new Error("R2 fails"))
          : (Reflect.get(bucket, name).bind?.(bucket) ?? Reflect.get(bucket, name)),
    });

  it.each<[string, () => Partial<Env>, string]>([
    ["R2 takes nothing", () => ({ MAIL: refusing("put") }), "message"],
    ["R2 gives nothing of a large one", () => ({ MAIL: refusing("get") }), "large message"],
    ["R2 takes nothing of what cannot be read", () => ({ MAIL: refusing("put") }), "unreadable"],
  ])("%s", async (_name, broken, kind) => {
    count++;
    const subject = `Failing sigma${count}`;
    const body = kind === "large message" ? `${"x".repeat(70)}\r\n`.repeat(16_000) : "Hello.\r\n";
    const sent = message({ subject, body });
    const mail = octets(kind !== "unreadable" ? report(envelope(ann, bob), sent) : sent);
    const first = await send([reports], mail, { env: failing(broken()) });
    expect(first.final).toMatchObject({ code: 451, enhanced: "4.3.0" });
    expect((await send([reports], mail)).final?.code).toBe(250);
    if (kind === "unreadable") return;
    expect(await found(`mailbox=${ann}&q=${subject.split(" ").at(-1)}`)).toHaveLength(1);
    expect(await found(`mailbox=${bob}&q=${subject.split(" ").at(-1)}`)).toHaveLength(1);
  });

  it("the index takes nothing", async () => {
    const mail = octets(report(envelope(ann, "zoe@example.net"), message({ subject: "Failing tau" })));
    await env.SHARD_0.exec("ALTER TABLE message RENAME TO message_away");
    const first = await send([reports], mail);
    await env.SHARD_0.exec("ALTER TABLE message_away RENAME TO message");
    expect(first.final).toMatchObject({ code: 451, enhanced: "4.3.0" });
    expect((await send([reports], mail)).final?.code).toBe(250);
    expect(await found(`domain=${D}&q=tau`)).toHaveLength(1);
  });

  it("the directory cannot say whose address it is", async () => {
    await env.DIRECTORY.exec("ALTER TABLE journal_address RENAME TO journal_away");
    const { rcpt } = await send([reports], octets("x"));
    await env.DIRECTORY.exec("ALTER TABLE journal_away RENAME TO journal_address");
    expect(rcpt).toMatchObject([{ code: 451, enhanced: "4.3.0" }]);
  });
});
