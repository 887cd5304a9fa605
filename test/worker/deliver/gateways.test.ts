import { env } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { TunnelReport, TunnelRequest } from "../../../src/core/protocol/gateway/tunnel.ts";
import { isOpen } from "../../../src/core/protocol/smtp/conversation.ts";
import { openSession } from "../../../src/core/protocol/smtp/open.ts";
import { probe } from "../../../src/worker/decide/probe.ts";
import { connectByGateway, gatewayHealth } from "../../../src/worker/deliver/gateways.ts";
import { timing } from "../../../src/worker/deliver/socket.ts";
import { connectThrough } from "../../../src/worker/deliver/tunnel.ts";
import type { Env } from "../../../src/worker/env.ts";
import { Budget } from "../../../src/worker/receive/budget.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { createOrganisation, letter, must, type Organisation, send } from "../receive/organisation.ts";
import { relay } from "../transports.ts";

const DEAD = "http://127.0.0.1:1";
const { GATEWAYS: LIVE, GATEWAY_SECRETS } = relay();

let origin: Origin;
beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  origin = await createOrigin();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const connect = (gateways: string | undefined, port = origin.port, secrets = GATEWAY_SECRETS) =>
  connectByGateway(
    gateways === undefined ? { GATEWAY_SECRETS: secrets } : { GATEWAYS: gateways, GATEWAY_SECRETS: secrets },
    { host: "127.0.0.1", port, limit: 2_000 },
  );

describe("which gateway", () => {
  it("another one where the first does not answer, whatever their order", async () => {
    // The order begins at random; a gateway that failed comes last for a while.
    for (let times = 0; times < 4; times++) {
      const connected = await connect(`${DEAD},${LIVE}`);
      expect(connected.ok).toBe(true);
      if (connected.ok) connected.value.close();
    }
  });

  it.each<[string, string | undefined, string, string]>([
    ["none is configured", undefined, GATEWAY_SECRETS, "no gateway is configured"],
    ["none answers", `${DEAD}, http://127.0.0.1:2`, GATEWAY_SECRETS, "127.0.0.1:2"],
    ["it does not take our signature", LIVE, "g1:another-secret", "it answered 401"],
    ["its address is none", "gw1.example.org", GATEWAY_SECRETS, "must list https addresses"],
  ])(
    "where %s it is our own way that fails, and no evidence against the origin",
    async (_name, gateways, secrets, why) => {
      const connected = await connect(gateways, origin.port, secrets);
      expect(connected).toMatchObject({ ok: false, error: { where: "path", detail: expect.stringContaining(why) } });
    },
  );

  it("where it reaches no origin, that is the origin's failure; a second one is asked, and one that fails is no witness", async () => {
    await origin.stop();
    for (const gateways of [LIVE, `${LIVE},${LIVE}`, `${DEAD},${LIVE}`]) {
      const connected = await connect(gateways);
      expect(connected).toMatchObject({ ok: false, error: { where: "origin", reason: "no_connection" } });
    }
  });

  it("where many do not answer at all, that is known before the sender's time is over: the origin is not blamed", async () => {
    vi.spyOn(globalThis, "fetch").mockImplementation(() => new Promise(() => undefined));
    const mute = Array.from({ length: 7 }, (_, number) => `http://gateway-${number}.example.org`);
    const found = await new Budget().spend<unknown>(
      () => connect(mute.join(",")),
      () => "the sender could not wait longer",
    );
    expect(found).toMatchObject({ ok: false, error: { where: "path" } });
  });

  it("each one's health is told, by its host", async () => {
    const health = await gatewayHealth({ GATEWAYS: `${DEAD},${LIVE}`, GATEWAY_SECRETS });
    expect(health).toEqual([
      { gateway: new URL(DEAD).host, ok: false },
      { gateway: new URL(LIVE).host, ok: true },
    ]);
  });
});

/** A gateway that a test speaks for: what the Worker sends comes to `hear`. */
function scripted(
  hear: (say: (report: TunnelReport | Uint8Array) => void, heard: TunnelRequest | string, end: () => void) => void,
) {
  const { 0: ours, 1: theirs } = new WebSocketPair();
  for (const side of [ours, theirs]) {
    side.binaryType = "arraybuffer";
    side.accept();
  }
  const say = (report: TunnelReport | Uint8Array) =>
    theirs.send(report instanceof Uint8Array ? report : JSON.stringify(report));
  theirs.addEventListener("message", ({ data }) => {
    const text =
      typeof data === "string" ? (JSON.parse(data) as TunnelRequest) : new TextDecoder().decode(data as ArrayBuffer);
    if (typeof text === "string") say({ op: "ack", octets: text.length });
    hear(say, text, () => theirs.close(1011));
  });
  return ours;
}

const octets = (text: string) => new TextEncoder().encode(text);
const BODY = "a line of the message\r\n";
const TARGET = { host: "mail.example.org", port: 25, limit: 1_000, private: false };

/** An origin in few words, behind a gateway that fails at the line which begins so. */
async function conversation(failAt: string, how: "silent" | "leaves" | "says path" | "says nonsense") {
  const socket = scripted((say, heard, end) => {
    if (typeof heard !== "string") {
      if (heard.op === "connect") say({ op: "connected" });
      if (heard.op === "connect") say(octets("220 mail.example.org\r\n"));
      return;
    }
    if (heard.startsWith(failAt)) {
      if (how === "leaves") end();
      if (how === "says path") say({ op: "failed", where: "path", reason: "dropped", detail: "my network is down" });
      if (how === "says nonsense") say({ op: "secured", more: 1 } as unknown as TunnelReport);
      return;
    }
    if (heard === BODY) return;
    say(octets(heard.startsWith("DATA") ? "354 go on\r\n" : "250 ok\r\n"));
  });
  const connected = await connectThrough(socket, TARGET, timing, 300);
  if (!connected.ok) throw new Error(connected.error.detail);
  const opened = await openSession(connected.value, { helo: "mx.holdfast.test", tls: "none", timing });
  if (!isOpen(opened)) return opened;
  const { session } = opened;
  const mail = await session.mail({ from: "", size: 3, body: "7BIT", smtputf8: false });
  if (mail.kind !== "delivered") return mail;
  const rcpt = await session.rcpt("ann@example.org");
  if (rcpt.kind !== "delivered") return rcpt;
  const writer = await session.data();
  if (!("write" in writer)) return writer;
  return (await writer.write(octets(BODY))) ?? writer.finish(1_000);
}

describe.each(["silent", "leaves", "says path", "says nonsense"] as const)("a gateway that %s", (how) => {
  it.each([
    ["EHLO", "ehlo"],
    ["MAIL", "mail"],
    ["RCPT", "rcpt"],
    ["DATA", "data"],
    [".", "final"],
  ])("at %s is our own failure, at that phase", async (line, phase) => {
    expect(await conversation(line, how)).toMatchObject({
      kind: "unavailable",
      where: "path",
      phase,
      reason: "dropped",
    });
  });
});

it("a gateway that is there, while the origin thinks, is not given up", async () => {
  let alive: ReturnType<typeof setInterval> | null = null;
  const socket = scripted((say, heard) => {
    if (typeof heard === "string" || heard.op !== "connect") return;
    say({ op: "connected" });
    alive = setInterval(() => say({ op: "alive" }), 50);
    setTimeout(() => say(octets("220 at last\r\n")), 1_500);
  });
  const connected = await connectThrough(socket, TARGET, timing, 300);
  if (!connected.ok) throw new Error(connected.error.detail);
  expect(new TextDecoder().decode((await connected.value.read()) ?? octets(""))).toBe("220 at last\r\n");
  clearInterval(alive);
  connected.value.close();
});

it("octets in clear text behind the reply to STARTTLS end the connection", async () => {
  const socket = scripted((say, heard) => {
    if (typeof heard !== "string" && heard.op === "connect") say({ op: "connected" });
    if (typeof heard !== "string" && heard.op === "starttls") {
      say(octets("250 injected\r\n"));
      say({ op: "secured" });
    }
  });
  const connected = await connectThrough(socket, TARGET, timing);
  if (!connected.ok) throw new Error(connected.error.detail);
  await expect(connected.value.startTls()).rejects.toThrow("clear text");
  connected.value.close();
});

describe("a domain whose origin is reached through a gateway", () => {
  const DOMAIN = "relayed.example";
  let organisation: Organisation;
  beforeAll(async () => {
    organisation = await createOrganisation(DOMAIN);
    await env.DIRECTORY.prepare(
      "UPDATE domain SET route = json_set(route, '$.transport', 'gateway'), version = version + 1",
    ).run();
    await must("PUT", `/api/domains/${DOMAIN}`, { switching: "automatic" });
  });

  const inbox = async () =>
    (await env.SHARD_0.prepare("SELECT count(*) AS n FROM placement WHERE waiting > 0").first<number>("n")) ?? 0;
  const taken = async () => (await organisation.origin.messages()).filter(({ accepted }) => accepted).length;

  it("gets its mail, and its refusals are its own words", async () => {
    const before = await taken();
    expect((await send([`ann@${DOMAIN}`], letter())).final?.code).toBe(250);
    expect(await taken()).toBe(before + 1);
    await organisation.origin.set({ steps: { rcpt: "550 5.1.1 nobody here" } });
    expect((await send([`ann@${DOMAIN}`], letter())).rcpt).toEqual([
      { code: 550, enhanced: "5.1.1", text: "nobody here" },
    ]);
    await organisation.origin.set({});
  });

  it("keeps its mail in the portal when no gateway works, and stays in normal mode", async () => {
    const waiting = await inbox();
    const without = { ...(env as Env), GATEWAYS: DEAD };
    for (let times = 0; times < 5; times++) {
      expect((await send([`ann@${DOMAIN}`], letter(), { env: without })).final?.code).toBe(250);
      expect((await send([`dan@${DOMAIN}`], letter(), { env: without })).rcpt[0]?.code).toBe(451);
    }
    expect(await inbox()).toBe(waiting + 5);
    const { mode } = (await must("GET", `/api/domains/${DOMAIN}`)) as { mode: string };
    expect(mode).toBe("normal");
  });

  it("is probed through the gateway", async () => {
    const route = { transport: "gateway", host: "127.0.0.1", port: organisation.origin.port, tls: "none" } as const;
    const tools = { openSecret: async () => "", helo: "mx.holdfast.test", now: () => Date.now() };
    expect(await probe(route, { ...tools, relay: relay() })).toMatchObject({ ok: true });
    const failed = await probe(route, { ...tools, relay: { GATEWAYS: DEAD, GATEWAY_SECRETS } });
    expect(failed).toMatchObject({ ok: false, outcome: { kind: "unavailable", where: "path" } });
  });
});
