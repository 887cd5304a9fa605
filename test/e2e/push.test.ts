/** The whole service, with a gateway's watch and a person's stream of events: over real sockets, through sleep and death. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { parseSecrets } from "../../src/core/protocol/gateway/signature.ts";
import { type Change, DomainWatch } from "../../src/gateway/domain-watch.ts";
import { Service } from "../../src/local/demo/service.ts";
import { pidFile } from "../../src/local/orphan.ts";

const DOMAIN = "example.org";
const ANN = `ann@${DOMAIN}`;
const PASSWORD = "correct horse battery";
/** The platform takes an object from memory when nothing happened for 10 s. */
const SLEEP = 13_000;
const PATIENCE = { timeout: 60_000, interval: 50 };
const state = mkdtempSync(join(tmpdir(), "holdfast-push-"));
let service: Service;
let watch: DomainWatch;
let account = 0;
let counter = 0;

beforeAll(async () => {
  // No probe comes in between to keep the object awake.
  process.env.HOLDFAST_PROBE_SECONDS = "3600";
  service = await Service.start(state, "operator-token-of-the-tests");
  delete process.env.HOLDFAST_PROBE_SECONDS;
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "all",
    switching: "manual",
    origin: { transport: "smtp", host: "127.0.0.1", port: 9, tls: "none" },
  });
  const path = `/api/domains/${DOMAIN}/mailboxes/${ANN}`;
  account = Number((await service.call<{ id: string }>("PUT", path, { password: PASSWORD })).id);
  await service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
  const { gatewaySecrets } = JSON.parse(readFileSync(join(state, "secrets.json"), "utf8")) as {
    gatewaySecrets: string;
  };
  const secrets = parseSecrets(gatewaySecrets);
  if (!secrets.ok) throw new Error(secrets.error);
  const link = { worker: new URL(service.addresses.http), secrets: secrets.value };
  watch = new DomainWatch(link, DOMAIN, { say: () => undefined });
});

afterAll(async () => {
  watch?.close();
  await service?.stop();
  rmSync(state, { recursive: true, force: true });
});

function send(): Promise<void> {
  const id = `<${++counter}.push@example.net>`;
  const octets = `Message-ID: ${id}\r\nFrom: <a@example.net>\r\nSubject: Letter ${counter}\r\n\r\nHello.\r\n`;
  return new Promise((resolve, reject) => {
    const { host, port } = service.addresses.mx;
    const connection = new SMTPConnection({ host, port, ignoreTLS: true, name: "client.example.net" });
    connection.on("error", reject);
    connection.connect(() =>
      connection.send({ from: "a@example.net", to: [ANN] }, octets, (error) => {
        connection.close();
        if (error) reject(error);
        else resolve();
      }),
    );
  });
}

/** The numbers of the `state` events, as they come. */
async function stream(token: string, states: string[]): Promise<AbortController> {
  const abort = new AbortController();
  const response = await fetch(new URL("/api/mail/events", service.addresses.http), {
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
    signal: abort.signal,
  });
  expect(response.status).toBe(200);
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      for (const [, id] of decoder.decode(chunk).matchAll(/^id: (\d+)$/gm)) states.push(id ?? "");
    }
  };
  read().catch((error: Error) => states.push(error.name));
  return abort;
}

it("mail is told of at once, also to an object that slept, and what came while nobody could be told is told after", async () => {
  const { token } = await service.call<{ token: string }>("POST", "/api/session", { email: ANN, password: PASSWORD });
  const states: string[] = [];
  const reading = await stream(token, states);
  const heard: Change[] = [];
  watch.watch(account, null, (change) => void heard.push(change));
  const seqs = () => heard.map((change) => (change.kind === "changed" ? change.seq : change.kind));
  await vi.waitFor(() => expect([states, seqs()]).toEqual([["0"], [0]]), PATIENCE);

  await send();
  await vi.waitFor(
    () =>
      expect([states, seqs()]).toEqual([
        ["0", "1"],
        [0, 1],
      ]),
    PATIENCE,
  );

  await new Promise((resolve) => setTimeout(resolve, SLEEP));
  await send();
  await vi.waitFor(
    () =>
      expect([states, seqs()]).toEqual([
        ["0", "1", "2"],
        [0, 1, 2],
      ]),
    PATIENCE,
  );
  reading.abort();
  await vi.waitFor(() => expect(states.at(-1)).toBe("AbortError"), PATIENCE);

  process.kill(Number(readFileSync(pidFile(state, "workerd"), "utf8")), "SIGKILL");
  // It comes back by itself, on the same port.
  await vi.waitFor(() => send(), { timeout: 90_000, interval: 1_000 });
  await vi.waitFor(() => expect(seqs().at(-1)).toBeGreaterThan(2), { timeout: 90_000, interval: 100 });
  const before = seqs().at(-1);
  await send();
  await vi.waitFor(() => expect(seqs().at(-1)).toBeGreaterThan(Number(before)), PATIENCE);

  const again: string[] = [];
  const later = await stream(token, again);
  await vi.waitFor(() => expect(again).toEqual([String(seqs().at(-1))]), PATIENCE);
  later.abort();
}, 300_000);
