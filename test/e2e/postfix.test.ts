/** The whole service against Postfix, as an organisation's own server and as a stranger's, and against servers that misbehave. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Service } from "../../src/local/demo/service.ts";
import { blackHole } from "../support/black-hole.ts";
import { FakeOrigin } from "../support/fake-origin.ts";
import type { Behaviour } from "../support/origin-behaviour.ts";
import { Postfix } from "../support/postfix.ts";

const DOMAIN = "example.org";
const PASSWORD = "correct horse battery staple";
const state = mkdtempSync(join(tmpdir(), "holdfast-e2e-"));
let service: Service;
let postfix: Postfix;
let counter = 0;

beforeAll(async () => {
  postfix = await Postfix.start({
    domains: [DOMAIN],
    access: {
      mail: ["/^mail-refused@/ 554 5.7.1 Not from you", "/^mail-deferred@/ 451 4.3.0 Not now"],
      rcpt: ["/^nobody@/ 550 5.1.1 Never heard of", "/^bob@/ 450 4.2.0 Greylisted"],
      data: ["/^data-refused@/ 554 5.5.1 No data", "/^data-deferred@/ 451 4.3.0 No data now"],
      final: [
        "/^final-refused@/ 554 5.7.9 We read it and do not like it",
        "/^final-deferred@/ 451 4.7.9 Still scanning",
      ],
    },
    ports: {
      greetingRefused: ["smtpd_client_restrictions=reject"],
      greetingDeferred: ["smtpd_client_restrictions=defer"],
      ehloRefused: ["smtpd_helo_restrictions=reject"],
      ehloDeferred: ["smtpd_helo_restrictions=defer"],
    },
  });
  service = await Service.start(state, "operator-token-of-the-tests");
  await routeTo(postfix.port);
  for (const name of ["ann", "bob"]) {
    await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${name}@${DOMAIN}`, {
      covered: true,
      password: PASSWORD,
    });
  }
  await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/dan@${DOMAIN}`, { covered: false });
});

afterAll(async () => {
  await service?.stop();
  postfix?.remove();
  rmSync(state, { recursive: true, force: true });
});

function routeTo(port: number, more: Record<string, unknown> = {}): Promise<unknown> {
  return service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "selected",
    switching: "manual",
    origin: { transport: "smtp", host: "127.0.0.1", port, tls: "none", username: null, ...more },
  });
}

interface Answer {
  readonly code: number;
  readonly text: string;
}

/** A message that is like no other, over a connection of its own. @returns what the sender hears, at RCPT or at the end */
async function send(from: string, to: string): Promise<{ answer: Answer; subject: string; octets: Buffer }> {
  const subject = `Letter ${++counter}`;
  const octets = Buffer.from(
    `Message-ID: <${counter}.${process.pid}@example.net>\r\nFrom: <${from}>\r\nTo: <${to}>\r\nSubject: ${subject}\r\n\r\n.one\r\n..two\r\n8 bit: \xe4\xf6\r\n`,
    "latin1",
  );
  const answer = await new Promise<Answer>((resolve) => {
    const { host, port } = service.addresses.mx;
    const connection = new SMTPConnection({
      host,
      port,
      ignoreTLS: true,
      name: "client.example.net",
      socketTimeout: 60_000,
    });
    const failed = (error: unknown) => {
      const { responseCode = 0, response = String(error) } = error as { responseCode?: number; response?: string };
      resolve({ code: responseCode, text: response });
    };
    connection.once("error", failed);
    connection.connect(() => {
      connection.send({ from, to: [to] }, octets, (error, info) => {
        connection.quit();
        if (error) failed(error);
        else resolve({ code: 250, text: info.response });
      });
    });
  });
  return { answer, subject, octets };
}

interface Item {
  readonly id: string;
  readonly subject: string;
}

const archived = async (subject: string) =>
  (
    await service.call<{ items: Item[] }>(
      "GET",
      `/api/archive?domain=${DOMAIN}&subject=${encodeURIComponent(`"${subject}"`)}`,
    )
  ).items.filter((item) => item.subject === subject);

async function inbox(name: string): Promise<Item[]> {
  const { token } = await service.call<{ token: string }>("POST", "/api/session", {
    email: `${name}@${DOMAIN}`,
    password: PASSWORD,
  });
  return (await service.call<{ items: Item[] }>("GET", "/api/mail/messages?folder=inbox&limit=100", undefined, token))
    .items;
}

/** At the origin, as Postfix stores it: its own fields on top, LF. */
async function atOrigin(octets: Buffer): Promise<number> {
  const wanted = Buffer.from(octets.toString("latin1").replaceAll("\r\n", "\n"), "latin1");
  return postfix.messages().filter((message) => message.subarray(-wanted.length).equals(wanted)).length;
}

async function until(what: string, done: () => Promise<boolean>, seconds = 60): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await done())) {
    if (Date.now() > end) {
      const { items } = await service.call<{ items: unknown[] }>("GET", `/api/domains/${DOMAIN}/events?limit=12`);
      const events = items.map((event) => JSON.stringify(event)).join("\n");
      throw new Error(`waited ${seconds} s in vain for: ${what}\n${events}\n${postfix.log().slice(-2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

describe("Postfix is the origin", () => {
  it("gets a covered mailbox's message octet for octet, and the archive has a copy", async () => {
    const { answer, subject, octets } = await send("friend@example.net", `ann@${DOMAIN}`);
    expect(answer.code).toBe(250);
    await until("the delivery", async () => (await atOrigin(octets)) === 1);
    const [copy] = await archived(subject);
    const raw = await service.fetch("GET", `/api/archive/${copy?.id}/raw`);
    expect(Buffer.from(await raw.arrayBuffer()).equals(octets)).toBe(true);
    expect((await inbox("ann")).map((item) => item.subject)).not.toContain(subject);
    const stored =
      postfix
        .messages()
        .find((message) => message.includes(subject))
        ?.toString("latin1") ?? "";
    expect(stored.match(/^\tby holdfast\.localhost \(Holdfast\)/gm)).toHaveLength(1);
  });

  it("gets mail for those who are not covered or unknown to us, and no copy is kept", async () => {
    const { answer, subject, octets } = await send("friend@example.net", `dan@${DOMAIN}`);
    expect(answer.code).toBe(250);
    await until("the delivery", async () => (await atOrigin(octets)) === 1);
    expect(await archived(subject)).toEqual([]);
  });

  it.each([
    ["MAIL", "mail-refused@example.net", "ann", "554", "5.7.1", "Not from you"],
    ["RCPT", "friend@example.net", "nobody", "550", "5.1.1", "Never heard of"],
    ["DATA", "data-refused@example.net", "ann", "554", "5.5.1", "No data"],
    ["the final dot", "final-refused@example.net", "ann", "554", "5.7.9", "We read it and do not like it"],
  ])(
    "says 5xx to %s: the sender hears Postfix's own words, nothing is kept",
    async (_phase, from, local, code, enhanced, words) => {
      const { answer, subject } = await send(from, `${local}@${DOMAIN}`);
      expect(answer.text).toMatch(new RegExp(`^${code} ${enhanced} .*${words}`));
      expect(await archived(subject)).toEqual([]);
    },
  );

  it.each([
    ["MAIL", "mail-deferred@example.net", "ann"],
    ["RCPT", "friend@example.net", "bob"],
    ["DATA", "data-deferred@example.net", "ann"],
    ["the final dot", "final-deferred@example.net", "ann"],
  ])("says 4xx to %s: accepted, in the archive and in the portal inbox", async (_phase, from, local) => {
    const { answer, subject, octets } = await send(from, `${local}@${DOMAIN}`);
    expect(answer.code).toBe(250);
    expect(await archived(subject)).toHaveLength(1);
    expect((await inbox(local)).map((item) => item.subject)).toContain(subject);
    expect(await atOrigin(octets)).toBe(0);
  });

  it("says 4xx to a message for someone who is not covered: a temporary failure in its own words", async () => {
    const { answer, subject } = await send("final-deferred@example.net", `dan@${DOMAIN}`);
    expect(answer.text).toMatch(/^451 4\.7\.9 .*Still scanning/);
    expect(await archived(subject)).toEqual([]);
  });

  it.each(["greetingRefused", "greetingDeferred", "ehloRefused", "ehloDeferred"])(
    "turns us away at the door (%s): accepted, in the portal inbox",
    async (port) => {
      await routeTo(postfix.ports[port] ?? 0);
      try {
        const covered = await send("friend@example.net", `ann@${DOMAIN}`);
        expect(covered.answer.code).toBe(250);
        expect((await inbox("ann")).map((item) => item.subject)).toContain(covered.subject);
        expect((await send("friend@example.net", `dan@${DOMAIN}`)).answer.code).toBe(451);
      } finally {
        await routeTo(postfix.port);
      }
    },
  );

  it("is stopped: accepted, in the portal inbox; started again, it gets the message by itself", async () => {
    postfix.stop();
    const { answer, subject, octets } = await send("friend@example.net", `ann@${DOMAIN}`);
    expect(answer.code).toBe(250);
    expect((await inbox("ann")).map((item) => item.subject)).toContain(subject);
    postfix.start();
    await until("the redelivery", async () => (await atOrigin(octets)) === 1, 90);
    await until("the inbox", async () => !(await inbox("ann")).some((item) => item.subject === subject));
    expect(await archived(subject)).toHaveLength(1);
  });
});

describe("the origin misbehaves", () => {
  const behaviours: [string, Behaviour, Record<string, unknown>][] = [
    ["takes the connection and says nothing", { steps: { greeting: { silent: true } } }, {}],
    ["sends one byte a second", { steps: { greeting: { octetEvery: 1000 } } }, {}],
    [
      "has a broken STARTTLS",
      { tls: "starttls", steps: { starttls: { garbage: "no handshake\r\n" } } },
      { tls: "starttls" },
    ],
    ["offers no STARTTLS although it is to be used", {}, { tls: "starttls" }],
    [
      "refuses the password",
      { user: { name: "holdfast", password: "other" } },
      { username: "holdfast", password: "not that one" },
    ],
    [
      "cannot check the password now (454)",
      { user: { name: "holdfast", password: "right" }, steps: { auth: "454 4.7.0 Directory is down" } },
      { username: "holdfast", password: "right" },
    ],
    ["drops the connection after the final dot", { steps: { final: { drop: true } } }, {}],
    ["shuts down in the middle (421)", { steps: { rcpt: { reply: "421 4.3.2 Going down", drop: true } } }, {}],
  ];

  it.each(behaviours)(
    "%s: accepted within its limits and in the portal inbox; a temporary failure for who is not covered",
    async (_what, behaviour, route) => {
      const origin = new FakeOrigin(behaviour);
      await routeTo(await origin.start(), route);
      try {
        await coveredIsKeptAndOtherWaits();
      } finally {
        await routeTo(postfix.port);
        await origin.stop();
      }
    },
  );

  it("takes no connection at all: accepted and in the portal inbox; a temporary failure for who is not covered", async () => {
    const hole = await blackHole();
    await routeTo(hole.port);
    try {
      await coveredIsKeptAndOtherWaits();
    } finally {
      await routeTo(postfix.port);
      await hole.close();
    }
  });

  async function coveredIsKeptAndOtherWaits(): Promise<void> {
    const [covered, other] = await Promise.all([
      send("friend@example.net", `ann@${DOMAIN}`),
      send("friend@example.net", `dan@${DOMAIN}`),
    ]);
    expect(covered.answer.code).toBe(250);
    expect(await archived(covered.subject)).toHaveLength(1);
    expect((await inbox("ann")).map((item) => item.subject)).toContain(covered.subject);
    expect(other.answer.code).toBe(451);
  }
});

describe("Postfix is the sender's server", () => {
  it("gets rid of all its mail through an outage, and the origin gets each message once", async () => {
    const sender = await Postfix.start({ relayTo: service.addresses.mx });
    try {
      await service.call("PUT", `/api/domains/${DOMAIN}`, { switching: "automatic" });
      const letters = (from: number, to: number) => Array.from({ length: to - from }, (_each, index) => from + index);
      const hand = async (numbers: number[]) => {
        for (const number of numbers) await handTo(sender.port, number);
      };
      await hand(letters(0, 10));
      await until("ten deliveries", async () => delivered(10) === 10);

      postfix.stop();
      await hand(letters(10, 30));
      await until("the sender's queue to be empty", async () => sender.queued() === 0, 90);
      await until("emergency", async () => (await mode()) === "emergency", 60);
      await hand(letters(30, 40));
      await until("the sender's queue to be empty", async () => sender.queued() === 0, 60);

      postfix.start();
      await until("normal", async () => (await mode()) === "normal", 90);
      await until("forty deliveries", async () => delivered(40) === 40, 60);
      for (const number of letters(0, 40)) {
        expect(copiesOf(number)).toBe(1);
        expect(await atOrigin(relayed(number))).toBe(1);
      }
    } finally {
      sender.remove();
    }
  });

  /** With Date and From, so that Postfix adds nothing below its Received. */
  const relayed = (number: number) =>
    Buffer.from(
      `Message-ID: <relayed-${number}@example.net>\r\nDate: Tue, 3 Nov 2026 10:00:00 +0000\r\nFrom: <writer@example.net>\r\nSubject: Relayed ${number}\r\n\r\n.one\r\n..two\r\n8 bit: \xe4\xf6\r\n \r\n`,
      "latin1",
    );
  const copiesOf = (number: number) =>
    postfix.messages().filter((message) => message.includes(`Subject: Relayed ${number}\n`)).length;
  const delivered = (count: number) =>
    Array.from({ length: count }, (_each, number) => copiesOf(number)).filter((copies) => copies > 0).length;
  const mode = async () => (await service.call<{ mode: string }>("GET", `/api/domains/${DOMAIN}`)).mode;

  function handTo(port: number, number: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const connection = new SMTPConnection({ host: "127.0.0.1", port, ignoreTLS: true, name: "desk.example.net" });
      connection.once("error", reject);
      connection.connect(() => {
        connection.send({ from: "writer@example.net", to: [`ann@${DOMAIN}`] }, relayed(number), (error) => {
          connection.quit();
          if (error) reject(error);
          else resolve();
        });
      });
    });
  }
});

describe("an administrator has switched to emergency", () => {
  const switchTo = (mode: string) => service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode });

  it("answers each recipient as the table says without asking Postfix, and gives everything back afterwards", async () => {
    await switchTo("emergency");
    const covered = await send("friend@example.net", `Ann+list@${DOMAIN}`);
    expect(covered.answer.code).toBe(250);
    expect((await inbox("ann")).map((item) => item.subject)).toContain(covered.subject);
    expect(await archived(covered.subject)).toHaveLength(1);

    const registered = await send("friend@example.net", `dan@${DOMAIN}`);
    expect(registered.answer.text).toMatch(/^4\d\d 4\./);
    const unknown = await send("friend@example.net", `nobody@${DOMAIN}`);
    expect(unknown.answer.text).toMatch(/^550 5\.1\.1 /);
    expect(unknown.answer.text).not.toContain("Never heard of");
    const postmaster = await send("friend@example.net", `postmaster@${DOMAIN}`);
    expect(postmaster.answer.code).toBe(250);
    for (const { octets } of [covered, registered, unknown]) expect(await atOrigin(octets)).toBe(0);

    await switchTo("normal");
    await until("the redelivery", async () => (await atOrigin(covered.octets)) === 1, 90);
    expect(postfix.messages().filter((message) => message.includes(`Delivered-To: Ann+list@${DOMAIN}`))).toHaveLength(
      1,
    );
    await until("the inbox", async () => !(await inbox("ann")).some((item) => item.subject === covered.subject));
    expect(await archived(covered.subject)).toHaveLength(1);
  });
});
