/** The whole service and an origin whose content filter takes longer at the final dot than the Worker lets a sender wait. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Service } from "../../src/local/demo/service.ts";
import { FakeOrigin } from "../support/fake-origin.ts";

const DOMAIN = "example.org";
const state = mkdtempSync(join(tmpdir(), "holdfast-slow-"));
const origin = new FakeOrigin({ steps: { final: { held: true } } });
let service: Service;

beforeAll(async () => {
  const port = await origin.start();
  service = await Service.start(state, "operator-token-of-the-tests");
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "selected",
    switching: "automatic",
    origin: { transport: "smtp", host: "127.0.0.1", port, tls: "none" },
  });
  for (const [name, covered] of [
    ["ann", true],
    ["dan", false],
  ] as const) {
    await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${name}@${DOMAIN}`, { covered });
  }
});

afterAll(async () => {
  await service?.stop();
  await origin.stop();
  rmSync(state, { recursive: true, force: true });
});

/** @returns the reply to the final dot, or what came in its place */
function send(to: string): Promise<string> {
  const octets = `Message-ID: <to-${to}>\r\nFrom: <a@example.net>\r\nTo: <${to}>\r\nSubject: To ${to}\r\n\r\nHello.\r\n`;
  const { host, port } = service.addresses.mx;
  const connection = new SMTPConnection({ host, port, ignoreTLS: true, name: "client.example.net" });
  return new Promise((resolve) => {
    connection.once("error", (error) => resolve(String(error)));
    connection.connect(() => {
      connection.send({ from: "a@example.net", to: [to] }, octets, (error, info) => {
        connection.close();
        resolve(error ? String(error) : String(info.response));
      });
    });
  });
}

const waiting = async (): Promise<unknown> => {
  const { backlog } = (await service.call("GET", `/api/domains/${DOMAIN}`)) as { backlog: { waiting: number } };
  return backlog.waiting;
};

it("a covered mailbox's mail is accepted meanwhile, another's sender waits, and the origin has each once", async () => {
  const toDan = send(`dan@${DOMAIN}`);
  const answered = vi.fn();
  void toDan.then(answered);
  expect(await send(`ann@${DOMAIN}`)).toMatch(/^250 2\.0\.0 Accepted as /);
  expect(await waiting()).toBe(1);
  const dots = () => origin.report().transcript.filter((line) => line === "C: (message) .").length;
  expect(dots()).toBe(2);
  expect(answered).not.toHaveBeenCalled();

  origin.set({});
  expect(await toDan).toMatch(/^250 2\.0\.0 Accepted as /);
  await vi.waitFor(async () => expect(await waiting()).toBe(0), { timeout: 20_000, interval: 200 });
  expect(dots()).toBe(2);
  expect(
    origin
      .report()
      .messages.map(({ to, accepted }) => `${to} ${accepted}`)
      .sort(),
  ).toEqual([`ann@${DOMAIN} true`, `dan@${DOMAIN} true`]);
  expect(await service.call("GET", `/api/domains/${DOMAIN}`)).toMatchObject({ mode: "normal" });
});
