/**
 * Postfix as an organisation's server that has Holdfast as its smart host and sends it copies of its mail; and another Postfix as the
 * server of the strangers that it writes to, found by their domains' MX records.
 */

import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Service } from "../../src/local/demo/service.ts";
import { type NameServer, startNameServer } from "../../src/local/kill/name-server.ts";
import { testCertificate } from "../support/authority.ts";
import { Postfix } from "../support/postfix.ts";

const DOMAIN = "example.org";
const PASSWORD = "correct horse battery staple";
const folder = mkdtempSync(join(tmpdir(), "holdfast-smart-host-"));
let names: NameServer;
let strangers: Postfix;
let organisation: Postfix;
let service: Service;

beforeAll(async () => {
  const { cert, key } = testCertificate("stranger");
  writeFileSync(join(folder, "cert.pem"), cert);
  writeFileSync(join(folder, "key.pem"), key, { mode: 0o600 });
  strangers = await Postfix.start({
    domains: ["example.net", "bare.example"],
    access: { rcpt: ["/^nobody@/ 550 5.1.1 Never heard of"] },
    // Behind it one that takes nothing: what it has taken for that one it has to give back.
    ports: { full: ["smtpd_recipient_restrictions=reject"] },
    settings: [
      "smtpd_tls_security_level = may",
      "smtpd_tls_loglevel = 1",
      `smtpd_tls_cert_file = ${join(folder, "cert.pem")}`,
      `smtpd_tls_key_file = ${join(folder, "key.pem")}`,
    ],
  });
  names = await startNameServer({
    "example.net": {
      mx: [
        [10, "dead.example.net"],
        [20, "mx.example.net"],
      ],
    },
    "dead.example.net": { a: ["127.0.0.9"] },
    "mx.example.net": { a: ["127.0.0.1"] },
    "bare.example": { a: ["127.0.0.1"] },
    "null.example": { mx: [[0, "."]] },
  });
  process.env.HOLDFAST_NAME_SERVERS = names.address;
  process.env.HOLDFAST_RELAY_PRIVATE_NAMES = "allow";
  process.env.HOLDFAST_MX_HOST_PORT = String(strangers.port);
  service = await Service.start(join(folder, "state"), "operator-token-of-the-tests");
  const ways = join(folder, "ways");
  const mx = service.addresses.mx;
  writeFileSync(
    ways,
    `late@example.net smtp:[127.0.0.1]:${strangers.ports.full}\n${DOMAIN} smtp:[${mx.host}]:${mx.port}\n`,
  );
  strangers.set(`transport_maps = texthash:${ways}`);
  organisation = await Postfix.start({ domains: [DOMAIN] });
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "selected",
    origin: { transport: "smtp", host: "127.0.0.1", port: organisation.port, tls: "none" },
    outgoing: { transport: "gateway" },
  });
  await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/ann@${DOMAIN}`, { covered: true, password: PASSWORD });
  const relay = await service.call<{ username: string; password: string }>("POST", `/api/domains/${DOMAIN}/relays`, {
    login: true,
  });
  const { host, port } = service.addresses.submission;
  const passwords = join(folder, "sasl");
  writeFileSync(passwords, `[${host}]:${port} ${relay.username}:${relay.password}\n`, { mode: 0o600 });
  organisation.set(
    `smtp_sasl_password_maps = texthash:${passwords}`,
    "smtp_sasl_auth_enable = yes",
    "smtp_sasl_security_options = noanonymous",
    "smtp_tls_security_level = encrypt",
    `relayhost = [${host}]:${port}`,
  );
});

afterAll(async () => {
  await service?.stop();
  organisation?.remove();
  strangers?.remove();
  names?.close();
  for (const name of ["NAME_SERVERS", "RELAY_PRIVATE_NAMES", "MX_HOST_PORT"]) delete process.env[`HOLDFAST_${name}`];
  rmSync(folder, { recursive: true, force: true });
});

/** Handed to the organisation's Postfix, as a desk would. */
function hand(from: string, to: readonly string[], octets: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const { port } = organisation;
    const connection = new SMTPConnection({ host: "127.0.0.1", port, ignoreTLS: true, name: "desk.example.org" });
    connection.once("error", reject);
    connection.connect(() => {
      connection.send({ from, to: [...to] }, octets, (error) => {
        connection.quit();
        if (error) reject(error);
        else resolve();
      });
    });
  });
}

/** With all that Postfix would add, so that it adds nothing but its Received. */
const letter = (subject: string, body: string, from = `ann@${DOMAIN}`): Buffer =>
  Buffer.from(
    `DKIM-Signature: v=1; a=rsa-sha256; d=${DOMAIN}; b=AAAA\r\nMessage-ID: <${subject}@${DOMAIN}>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: <${from}>\r\nTo: zoe@example.net\r\nSubject: ${subject}\r\n\r\n${body}`,
    "latin1",
  );

const asStored = (octets: Buffer) => Buffer.from(octets.toString("latin1").replaceAll("\r\n", "\n"), "latin1");
const withSubject = (server: Postfix, subject: string) =>
  server.messages().filter((message) => message.includes(`Subject: ${subject}\n`));

async function until(what: string, done: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come:\n${organisation.log().slice(-3000)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const archived = async (query: string) =>
  (await service.call<{ items: { id: string; subject: string; direction: string }[] }>("GET", `/api/archive?${query}`))
    .items;

describe("an organisation's Postfix that sends through us", () => {
  const KINDS: [string, string][] = [
    ["plain", "Hello.\r\n"],
    ["dots", ".\r\n..\r\n.one\r\nend.\r\n"],
    ["eightbit", "\xe4\xf6\xfc \xff\r\n"],
    ["empty", ""],
    ["spaces", " \r\n\t\r\n trailing \r\n\r\n\r\n"],
    ["longline", `${"x".repeat(990)}\r\n`],
    ["from", "From the beginning\r\n>From there\r\n"],
    ["large", `${"0123456789abcdef".repeat(4)}\r\n`.repeat(40_000)],
  ];

  it("has mail of every kind taken, and the strangers' server gets it once, octet for octet", async () => {
    for (const [subject, body] of KINDS) await hand(`ann@${DOMAIN}`, ["zoe@example.net"], letter(subject, body));
    await until("its queue to be empty", () => organisation.queued() === 0);
    await until("all of it", () => KINDS.every(([subject]) => withSubject(strangers, subject).length > 0));
    for (const [subject, body] of KINDS) {
      const [message, ...more] = withSubject(strangers, subject);
      const wanted = asStored(letter(subject, body));
      expect(more).toEqual([]);
      expect(message?.subarray(-wanted.length).equals(wanted), subject).toBe(true);
      expect(message?.includes("(Holdfast) with ESMTPSA id "), subject).toBe(true);
    }
    // Its certificate is nobody's; encrypted it is all the same (RFC 7435).
    expect(strangers.log()).toContain("TLS connection established");
    expect(names.asked).toContain("mx example.net");
  });

  it("has it in the archive of its author, as the octets that Postfix handed over", async () => {
    const items = await archived(`mailbox=ann@${DOMAIN}&direction=out&limit=200`);
    expect(items.map(({ subject }) => subject).sort()).toEqual(KINDS.map(([subject]) => subject).sort());
  });

  it("writes to many at once, to a domain without MX records, and as nobody: its own reports", async () => {
    await hand(
      `ann@${DOMAIN}`,
      Array.from({ length: 60 }, (_, at) => `r${at}@example.net`).concat("x@bare.example"),
      letter("many", "Hi\r\n"),
    );
    await hand("", ["zoe@example.net"], letter("report", "Hi\r\n", `MAILER-DAEMON@${DOMAIN}`));
    await until("the report", () => withSubject(strangers, "report").length === 1);
    await until("all copies", () => withSubject(strangers, "many").length === 61);
    expect(withSubject(strangers, "report")[0]?.toString("latin1")).toMatch(/^Return-Path: <>/);
  });

  it("hears of what nobody takes: a refused recipient, a domain that takes no mail, one that does not exist", async () => {
    const [refused, none, missing] = ["nobody@example.net", "x@null.example", "x@missing.example"];
    for (const to of [refused, none, missing])
      await hand(`ann@${DOMAIN}`, [to], letter(`to-${to.split("@")[1]}`, "Hi\r\n"));
    const reports = () =>
      organisation
        .messages()
        .filter((message) => message.includes("multipart/report"))
        .map(String);
    await until("three reports", () => reports().length === 3, 90);
    for (const [to, status] of [
      [refused, "5.1.1"],
      [none, "5.1.10"],
      [missing, "5.1.2"],
    ] as const) {
      const report = reports().find(
        (one) => one.includes(`Final-Recipient: rfc822; ${to}`) || one.includes(`Final-Recipient: rfc822;${to}`),
      );
      expect(report).toContain(`Status: ${status}`);
    }
  });

  it("keeps what it cannot hand over when its login is taken away, and strangers hear 530", async () => {
    const relays = await service.call<{ items: { id: string }[] }>("GET", `/api/domains/${DOMAIN}/relays`);
    for (const { id } of relays.items) await service.call("DELETE", `/api/domains/${DOMAIN}/relays/${id}`);
    await hand(`ann@${DOMAIN}`, ["zoe@example.net"], letter("locked-out", "Hi\r\n"));
    await until(
      "the refusal",
      () => /locked-out|535 5\.7\.8/.test(organisation.log()) && organisation.log().includes("535 5.7.8"),
    );
    expect(organisation.queued()).toBe(1);
    // Now it is known by the certificate that it shows, whoever signed it.
    const certificate = new X509Certificate(testCertificate("stranger").cert).fingerprint256;
    await service.call("POST", `/api/domains/${DOMAIN}/relays`, { certificate });
    organisation.set(
      "smtp_sasl_auth_enable = no",
      `smtp_tls_cert_file = ${join(folder, "cert.pem")}`,
      `smtp_tls_key_file = ${join(folder, "key.pem")}`,
    );
    organisation.flush();
    await until("the message", () => withSubject(strangers, "locked-out").length === 1);

    // And by its address alone.
    organisation.set("smtp_tls_cert_file =", "smtp_tls_key_file =");
    await hand(`ann@${DOMAIN}`, ["zoe@example.net"], letter("by-address", "Hi\r\n"));
    await until("the refusal", () => organisation.log().includes("530 5.7.0"));
    await service.call("POST", `/api/domains/${DOMAIN}/relays`, { address: "127.0.0.1" });
    await hand(`ann@${DOMAIN}`, ["zoe@example.net"], letter("by-address-now", "Hi\r\n"));
    await until("the message", () => withSubject(strangers, "by-address-now").length === 1);
  });
});

describe("a person's mail program", () => {
  interface Answer {
    readonly status: number | null;
    readonly said: string;
  }

  /** swaks (Perl) and smtplib (Python), over either port. */
  const PROGRAMS: Record<string, (from: string, password: string, subject: string) => Answer> = {
    "swaks with STARTTLS": (from, password, subject) => {
      const { host, port } = service.addresses.submission;
      const auth = ["--auth", "PLAIN", "--auth-user", `ann@${DOMAIN}`, "--auth-password", password];
      const mail = ["--from", from, "--to", "zoe@example.net", "--header", `Subject: ${subject}`];
      return run("swaks", ["--server", `${host}:${port}`, "--tls", ...auth, ...mail, "--h-From", `<${from}>`]);
    },
    "smtplib with TLS at once": (from, password, subject) => {
      const { host, port } = service.addresses.submissions;
      const script = `
import smtplib, ssl, sys
from email.message import EmailMessage
host, port, sender, password, subject = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
message = EmailMessage()
message["From"] = sender
message["To"] = "Zoë <zoe@example.net>"
message["Subject"] = subject
message.set_content("Grüße")
with smtplib.SMTP_SSL(host, int(port), context=context) as server:
    server.login("ann@${DOMAIN}", password)
    server.send_message(message)
`;
      return run("python3", ["-c", script, host, String(port), from, password, subject]);
    },
  };

  function run(program: string, args: readonly string[]): Answer {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: 60_000 });
    return { status, said: `${stdout}${stderr}` };
  }

  it.each(Object.keys(PROGRAMS))(
    "%s sends with the password of the mailbox, as its owner and nobody else",
    async (name) => {
      const send = PROGRAMS[name] ?? (() => ({ status: null, said: "no such program" }));
      const subject = `By ${name}`;
      expect(send(`ann@${DOMAIN}`, "wrong", subject)).toMatchObject({ said: expect.stringContaining("5.7.8") });
      expect(send(`boss@${DOMAIN}`, PASSWORD, subject)).toMatchObject({ said: expect.stringContaining("5.7.1") });
      expect(send(`ann@${DOMAIN}`, PASSWORD, subject)).toMatchObject({ status: 0 });
      await until("the message", () => withSubject(strangers, subject).length === 1);
      const { token } = await service.call<{ token: string }>("POST", "/api/session", {
        email: `ann@${DOMAIN}`,
        password: PASSWORD,
      });
      const sent = await service.call<{ items: { subject: string }[] }>(
        "GET",
        "/api/mail/messages?folder=sent",
        undefined,
        token,
      );
      expect(sent.items.filter((item) => item.subject === subject)).toHaveLength(1);
    },
  );
});

describe("a person who writes in the portal", () => {
  interface Listed {
    readonly id: string;
    readonly subject: string;
    readonly thread: string;
  }

  const setMode = (mode: "emergency" | "normal") => service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
  const REPORT = "Undelivered Mail Returned to Sender";
  const [OURS, THEIRS] = ["[Not delivered]", REPORT];
  /** Reports about a message that the organisation's server has. */
  const returned = (about: string, by: string) =>
    organisation.messages().filter((one) => one.includes(by) && one.includes(`Subject: ${about}\n`));

  /** To one who gets it, one who is refused at once, and one whose server takes it and gives it back. */
  async function write(subject: string) {
    const login = { email: `ann@${DOMAIN}`, password: PASSWORD };
    const { token } = await service.call<{ token: string }>("POST", "/api/session", login);
    const to = ["zoe@example.net", "nobody@example.net", "late@example.net"];
    await service.call("POST", "/api/mail/messages", { to, subject, text: "Gr\u00fc\u00dfe\n.\nFrom ann" }, token);
    const folder = async (name: string) =>
      (await service.call<{ items: Listed[] }>("GET", `/api/mail/messages?folder=${name}`, undefined, token)).items;
    const sent = (await folder("sent")).find((one) => one.subject === subject);
    if (!sent) throw new Error("it is not in Sent");
    const raw = await service.fetch("GET", `/api/mail/messages/${sent.id}/raw`, undefined, token);
    return { token, folder, sent, octets: Buffer.from(await raw.arrayBuffer()) };
  }

  it("in emergency mode: it arrives as it is in Sent, and what comes back lies in its conversation, until failback", async () => {
    await setMode("emergency");
    const { token, folder, sent, octets } = await write("In an outage");
    await until("the message", () => withSubject(strangers, "In an outage").length === 1);
    const wanted = asStored(octets);
    expect(withSubject(strangers, "In an outage")[0]?.subarray(-wanted.length).equals(wanted)).toBe(true);
    await until("both reports", async () => (await folder("inbox")).length === 2);
    const reports = await folder("inbox");
    expect(reports.map(({ subject }) => subject).sort()).toEqual([REPORT, "[Not delivered] In an outage"]);
    expect(reports.map(({ thread }) => thread)).toEqual([sent.thread, sent.thread]);
    const { items } = await service.call<{ items: { recipient: string; state: string }[] }>(
      "GET",
      `/api/mail/messages/${sent.id}/delivery`,
      undefined,
      token,
    );
    expect(Object.fromEntries(items.map(({ recipient, state }) => [recipient.split("@")[0], state]))).toEqual({
      zoe: "delivered",
      nobody: "refused",
      late: "delivered",
    });
    expect([returned("In an outage", OURS), returned("In an outage", THEIRS)]).toEqual([[], []]);
    await setMode("normal");
    await until("theirs at the organisation's server", () => returned("In an outage", THEIRS).length === 1);
    await until("ours there", () => returned("In an outage", OURS).length === 1);
    await until("an empty inbox", async () => (await folder("inbox")).length === 0);
  });

  it("in normal mode: what comes back goes to the organisation's server, and the portal's inbox stays empty", async () => {
    const { folder } = await write("On a good day");
    await until("the message", () => withSubject(strangers, "On a good day").length === 1);
    await until("our report", () => returned("On a good day", OURS).length === 1);
    await until("theirs", () => returned("On a good day", THEIRS).length === 1);
    expect(await folder("inbox")).toEqual([]);
  });
});

describe("an organisation's Postfix that sends us copies", () => {
  it("(always_bcc) has its mail in the archive of its authors, and no loop comes of it", async () => {
    await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/carol@${DOMAIN}`, { covered: true });
    const journal = await service.call<{ address: string }>("POST", `/api/domains/${DOMAIN}/journal-addresses`, {
      format: "copies",
      sources: ["127.0.0.0/8"],
    });
    const { host, port } = service.addresses.mx;
    const transport = join(folder, "transport");
    writeFileSync(transport, `${journal.address.split("@")[1]} smtp:[${host}]:${port}\n`);
    // The copies go to our MX port; everything else to the strangers' server, as if there were no smart host.
    organisation.set(
      `transport_maps = texthash:${transport}`,
      `relayhost = [127.0.0.1]:${strangers.port}`,
      "smtp_tls_security_level = may",
      `always_bcc = ${journal.address}`,
    );
    const octets = letter("journalled", "A copy of this.\r\n", `carol@${DOMAIN}`);
    await hand(`carol@${DOMAIN}`, ["zoe@example.net", `ann@${DOMAIN}`], octets);
    await until("its queue to be empty", () => organisation.queued() === 0);
    const out = await archived(`mailbox=carol@${DOMAIN}&direction=out`);
    expect(out.map(({ subject }) => subject)).toEqual(["journalled"]);
    const raw = await fetch(new URL(`/api/archive/${out[0]?.id}/raw`, service.addresses.http), {
      headers: { authorization: "Bearer operator-token-of-the-tests" },
    });
    expect(
      Buffer.from(await raw.arrayBuffer())
        .subarray(-octets.length)
        .equals(octets),
    ).toBe(true);
    expect(withSubject(organisation, "journalled")).toHaveLength(1);
  });
});
