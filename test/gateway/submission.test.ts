/** The submission ports: who may speak is the Worker's to say; what is offered, and to whom it is told, is the gateway's. */
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { listenSubmission } from "../../src/gateway/submission.ts";
import { testAuthority, testCertificate } from "../support/authority.ts";
import { RECEIVING, ROOM, SmtpClient } from "./smtp-client.ts";
import { ops, type Script, SECRET, startWorker } from "./worker-double.ts";

beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => undefined));

const KNOWN = { kind: "known", ticket: "ticket-1" };
const WRONG = { kind: "refused", code: 535, enhanced: "5.7.8", text: "Wrong login name or password" };
const NOBODY = { code: 530, enhanced: "5.7.0", text: "Authentication required" };

/** The right password is `right`. */
const SCRIPT: Script = {
  login: (login) => ((login as { password: string }).password === "right" ? KNOWN : WRONG),
  mail: ({ submitter }) => (submitter?.ticket ? { code: 250, enhanced: "2.1.0", text: "Sender ok" } : NOBODY),
};

async function start(secure: boolean, script: Script = SCRIPT) {
  const { url, heard } = await startWorker(script);
  const configuration = { ...RECEIVING, worker: url, secrets: [SECRET] as const, tls: testCertificate("trusted") };
  const port = await listenSubmission(configuration, 0, secure, ROOM);
  onTestFinished(() => port.close());
  return { port: port.port, heard };
}

async function secured(port: number): Promise<SmtpClient> {
  const client = await SmtpClient.greet(port);
  expect(await client.command("STARTTLS")).toMatch(/^220 /);
  await client.startTls();
  await client.command("EHLO client.example.net");
  return client;
}

/** Over implicit TLS, perhaps with a certificate of one's own. */
async function implicit(port: number, certificate?: { cert: string; key: string }): Promise<SmtpClient> {
  const socket = connectTls({ port, host: "127.0.0.1", servername: "localhost", ca: testAuthority(), ...certificate });
  await once(socket, "secureConnect");
  const client = new SmtpClient(socket);
  onTestFinished(() => client.destroy());
  expect(await client.reply()).toMatch(/^220 /);
  await client.command("EHLO client.example.net");
  return client;
}

const plain = (user: string, password: string) =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString("base64")}`;

describe("a login", () => {
  it("is neither offered nor taken before TLS", async () => {
    const { port } = await start(false);
    const client = await SmtpClient.connect(port);
    await client.reply();
    const offered = await client.command("EHLO client.example.net");
    expect(offered).toContain("STARTTLS");
    expect(offered).not.toContain("AUTH");
    expect(await client.command(plain("a@b.test", "right"))).toMatch(/^500 5\.5\.2 /);
  });

  it("is offered under TLS, PLAIN and LOGIN, and its ticket goes with each transaction", async () => {
    const { port, heard } = await start(false);
    const client = await secured(port);
    expect(await client.command("EHLO client.example.net")).toMatch(/AUTH PLAIN LOGIN/);
    expect(await client.command(plain("a@b.test", "right"))).toMatch(/^235 /);
    for (const to of ["c@d.test", "e@f.test"]) {
      expect(await client.command("MAIL FROM:<a@b.test>")).toMatch(/^250 /);
      expect(await client.command(`RCPT TO:<${to}>`)).toMatch(/^250 /);
      expect(await client.command("DATA")).toMatch(/^354 /);
      expect(await client.command("Subject: x\r\n\r\nHi\r\n.")).toBe("250 2.0.0 Accepted as 01TEST");
    }
    const mails = heard.frames.filter((frame) => frame.op === "mail");
    expect(mails).toMatchObject([
      { submitter: { ticket: "ticket-1" }, client: { protocol: "ESMTPSA" } },
      { submitter: { ticket: "ticket-1" } },
    ]);
    expect(heard.messages.map(String)).toEqual(["Subject: x\r\n\r\nHi\r\n", "Subject: x\r\n\r\nHi\r\n"]);
  });

  it("by AUTH LOGIN in steps is taken over implicit TLS", async () => {
    const { port } = await start(true);
    const client = await implicit(port);
    expect(await client.command("AUTH LOGIN")).toMatch(/^334 /);
    expect(await client.command(Buffer.from("a@b.test").toString("base64"))).toMatch(/^334 /);
    expect(await client.command(Buffer.from("right").toString("base64"))).toMatch(/^235 /);
  });

  it("that is wrong hears the Worker's words, and after three of them the connection ends", async () => {
    const { port } = await start(true);
    const client = await implicit(port);
    for (let times = 0; times < 3; times++)
      expect(await client.command(plain("a@b.test", "wrong"))).toBe("535 5.7.8 Wrong login name or password");
    expect(await client.command(plain("a@b.test", "right"))).toMatch(/^421 4\.7\.0 /);
    expect(await client.reply()).toBeNull();
  });

  it.each<[string, Script]>([
    ["the Worker cannot be had", {}],
    ["the Worker talks nonsense", { login: () => ({ kind: "maybe" }) }],
  ])("where %s is a temporary failure, and nobody is let in", async (_name, script) => {
    const { port } = await start(true, { mail: SCRIPT.mail ?? (() => NOBODY), ...script });
    const client = await implicit(port);
    expect(await client.command(plain("a@b.test", "right"))).toMatch(/^454 4\.7\.0 /);
    expect(await client.command("MAIL FROM:<a@b.test>")).toMatch(/^530 5\.7\.0 /);
  });

  it("is gone with EHLO in clear text: commands in the same packet as STARTTLS are not carried over", async () => {
    const { port, heard } = await start(false);
    const client = await SmtpClient.greet(port);
    client.write(`STARTTLS\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n`);
    await client.reply();
    expect(heard.frames).toEqual([]);
  });
});

describe("whoever has not logged in", () => {
  it("is refused at MAIL, in the Worker's words", async () => {
    const { port, heard } = await start(true);
    const client = await implicit(port);
    expect(await client.command("MAIL FROM:<a@b.test>")).toBe("530 5.7.0 Authentication required");
    expect(await client.command("RCPT TO:<c@d.test>")).toMatch(/^503 /);
    expect(ops(heard)).not.toContain("rcpt");
  });

  it("may show a certificate of their own, whoever signed it: the Worker is told which", async () => {
    const stranger = testCertificate("stranger");
    const { port, heard } = await start(true);
    const client = await implicit(port, stranger);
    await client.command("MAIL FROM:<a@b.test>");
    const certificate = createHash("sha256").update(new X509Certificate(stranger.cert).raw).digest("hex");
    expect(heard.frames[0]).toMatchObject({ op: "mail", submitter: { certificate } });
  });

  it.each([
    ["TLS at once", true],
    ["STARTTLS", false],
  ])("without either is known by their address at most, over %s", async (_name, secure) => {
    const { port, heard } = await start(secure);
    const client = await (secure ? implicit(port) : secured(port));
    expect(await client.command("MAIL FROM:<a@b.test>")).toMatch(/^530 /);
    expect(heard.frames[0]).toMatchObject({ op: "mail", client: { ip: "127.0.0.1" }, submitter: {} });
  });
});

describe("where the Worker goes away after MAIL", () => {
  it("whoever may send is asked about anew, and the message goes", async () => {
    const { port, heard } = await start(true);
    const client = await implicit(port);
    await client.command(plain("a@b.test", "right"));
    expect(await client.command("MAIL FROM:<a@b.test>")).toMatch(/^250 /);
    for (const socket of heard.open) socket.terminate();
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
    expect(await client.command("RCPT TO:<c@d.test>")).toMatch(/^250 2\.1\.5 /);
    expect(await client.command("DATA")).toMatch(/^354 /);
    expect(await client.command("Subject: x\r\n\r\nHi\r\n.")).toBe("250 2.0.0 Accepted as 01TEST");
    expect(heard).toMatchObject({ opened: 2, messages: [expect.anything()] });
  });

  it("whoever may not send any more hears so at the next command", async () => {
    let asked = 0;
    const { port, heard } = await start(true, {
      ...SCRIPT,
      mail: () => (++asked === 1 ? { code: 250, enhanced: "2.1.0", text: "Sender ok" } : NOBODY),
    });
    const client = await implicit(port);
    await client.command(plain("a@b.test", "right"));
    expect(await client.command("MAIL FROM:<a@b.test>")).toMatch(/^250 /);
    for (const socket of heard.open) socket.terminate();
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
    expect(await client.command("RCPT TO:<c@d.test>")).toBe("530 5.7.0 Authentication required");
    expect(await client.command("DATA")).toMatch(/^503 /);
  });
});

describe("a stranger who does not wait for replies", () => {
  /** RFC 2920: all at once, as if each had been taken. */
  const ALL = (from: string, to: string) =>
    `MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\nSubject: x\r\n\r\nMAIL FROM:<${from}>\r\n.\r\nNOOP\r\n`;

  it.each([
    ["as a user of ours", "ann@example.org", "victim@example.com"],
    ["with the null sender", "", "victim@example.com"],
    ["by a source route", "a@example.net", "@example.org,@gw.test:victim@example.com"],
    ["by the percent hack", "a@example.net", "victim%example.com@example.org"],
    ["by a quoted local part", "a@example.net", '"victim@example.com"@example.org'],
    ["by a bang path", "a@example.net", "example.com!victim@example.org"],
  ])("%s has none of it taken", async (_name, from, to) => {
    const { port, heard } = await start(true);
    const client = await implicit(port);
    client.write(ALL(from, to));
    const replies: string[] = [];
    while (!replies.at(-1)?.startsWith("250 ")) replies.push((await client.reply()) ?? "250 it hung up");
    expect(replies.slice(0, 3).map((reply) => reply.slice(0, 3))).toEqual(["530", "503", "503"]);
    expect(replies.some((reply) => reply.startsWith("354"))).toBe(false);
    expect(heard.messages).toEqual([]);
    expect(ops(heard)).not.toContain("data");
  });

  it("nor does one who sends commands behind STARTTLS in clear text (RFC 3207 §6)", async () => {
    const { port, heard } = await start(false);
    const client = await SmtpClient.greet(port);
    client.write(`STARTTLS\r\n${plain("ann@example.org", "right")}\r\nMAIL FROM:<ann@example.org>\r\n`);
    expect(await client.reply()).toMatch(/^220 /);
    await client.startTls();
    await client.command("EHLO client.example.net");
    expect(await client.command("MAIL FROM:<ann@example.org>")).toMatch(/^530 /);
    expect(heard.messages).toEqual([]);
  });
});

describe("a message", () => {
  it("with a bare CR or LF is refused, and what stands behind it is no command", async () => {
    const { port, heard } = await start(true);
    const client = await implicit(port);
    await client.command(plain("a@b.test", "right"));
    for (const smuggled of [
      "x\n.\nMAIL FROM:<evil@b.test>\r\n",
      "x\r.\rMAIL FROM:<evil@b.test>\r\n",
      "x\r\n.\nRSET\r\n",
    ]) {
      await client.command("MAIL FROM:<a@b.test>");
      await client.command("RCPT TO:<c@d.test>");
      await client.command("DATA");
      expect(await client.command(`Subject: x\r\n\r\n${smuggled}.`)).toMatch(/^550 5\.5\.2 /);
    }
    expect(heard.messages).toEqual([]);
    expect(heard.frames.filter(({ op }) => op === "mail")).toHaveLength(3);
  });
});
