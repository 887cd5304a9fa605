/** The whole service with an origin that is reached through the gateway, as on port 25, with STARTTLS and a login. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Service } from "../../src/local/demo/service.ts";
import { pidFile } from "../../src/local/orphan.ts";
import { trustTestAuthority } from "../support/authority.ts";
import { FakeOrigin } from "../support/fake-origin.ts";

const DOMAIN = "example.org";
const USER = { name: "relay@example.org", password: "correct horse" };
const state = mkdtempSync(join(tmpdir(), "holdfast-relay-"));
const origin = new FakeOrigin({ tls: "starttls", user: USER });
let service: Service;
let counter = 0;

beforeAll(async () => {
  trustTestAuthority();
  await origin.start();
  service = await Service.start(state, "operator-token-of-the-tests");
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "all",
    switching: "manual",
    origin: {
      transport: "gateway",
      host: "localhost",
      port: origin.port,
      tls: "starttls",
      username: USER.name,
      password: USER.password,
    },
  });
  await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/ann@${DOMAIN}`, { covered: true });
});

afterAll(async () => {
  await service?.stop();
  await origin.stop();
  rmSync(state, { recursive: true, force: true });
});

/** @returns the code that the sender hears, and what it sent */
async function send(to = `ann@${DOMAIN}`): Promise<{ code: number; text: string; octets: Buffer }> {
  const id = `<${++counter}.relay@example.net>`;
  const octets = Buffer.from(
    `Message-ID: ${id}\r\nSubject: Letter ${counter}\r\n\r\n.one\r\n8 bit: \xe4\xf6\r\n`,
    "latin1",
  );
  const answer = await new Promise<{ code: number; text: string }>((resolve) => {
    const { host, port } = service.addresses.mx;
    const connection = new SMTPConnection({ host, port, secure: false, ignoreTLS: true });
    const end = (code: number, text: string) => {
      connection.close();
      resolve({ code, text });
    };
    connection.on("error", (error: Error & { responseCode?: number; response?: string }) =>
      end(error.responseCode ?? 0, error.response ?? error.message),
    );
    connection.connect(() =>
      connection.send({ from: "somebody@example.net", to, use8BitMime: true }, octets, (error, info) => {
        if (error) end(error.responseCode ?? 0, error.response ?? error.message);
        else end(250, info.response);
      }),
    );
  });
  return { ...answer, octets };
}

const domain = () => service.call<{ mode: string; backlog: { waiting: number } }>("GET", `/api/domains/${DOMAIN}`);
const choose = (mode: string) => service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
/** What the origin took, below the two headers of Holdfast's own. */
const taken = () =>
  origin
    .report()
    .messages.filter(({ accepted }) => accepted)
    .map(({ raw }) => Buffer.from(raw, "base64"))
    .map((raw) => raw.subarray(raw.indexOf("Message-ID: ")).toString("latin1"));

describe("an origin behind the gateway", () => {
  it("takes a message over STARTTLS after AUTH, octet for octet", async () => {
    const { code, octets } = await send();
    expect(code).toBe(250);
    expect(taken()).toEqual([octets.toString("latin1")]);
    const transcript = origin.report().transcript.join("\n");
    expect(transcript).toMatch(/C: STARTTLS[\s\S]*C: AUTH/);
  });

  it("refuses in its own words", async () => {
    origin.set({ ...origin.behaviour, steps: { rcpt: "550 5.1.1 Never heard of" } });
    expect(await send()).toMatchObject({ code: 550, text: expect.stringContaining("5.1.1 Never heard of") });
    origin.set({ tls: "starttls", user: USER });
  });

  it("that is down has its mail kept, and gets it back once each, also where the gateway is killed meanwhile", async () => {
    const before = taken().length;
    await choose("emergency");
    const sent = new Set<string>();
    for (let count = 0; count < 60; count++) {
      const { code, octets } = await send();
      expect(code).toBe(250);
      sent.add(octets.toString("latin1"));
    }
    expect((await domain()).backlog.waiting).toBe(60);
    // Slow enough to be met in the middle.
    origin.set({ ...origin.behaviour, steps: { final: { delay: 100 } } });
    await choose("normal");
    await expect.poll(() => taken().length, { timeout: 20_000 }).toBeGreaterThan(before + 5);
    process.kill(Number(readFileSync(pidFile(state, "gateway"), "utf8")), "SIGKILL");
    await expect.poll(async () => (await domain()).backlog.waiting, { timeout: 60_000 }).toBe(0);
    const all = taken().slice(before);
    expect(new Set(all)).toEqual(sent);
    // What was in flight on a connection when the gateway died may have come twice: four connections at most.
    expect(all.length).toBeLessThanOrEqual(sent.size + 4);
    const { items } = await service.call<{ items: { kind: string }[] }>(
      "GET",
      `/api/domains/${DOMAIN}/events?limit=50`,
    );
    expect(items.filter(({ kind }) => kind === "mode_changed")).toHaveLength(2);
  });
});
