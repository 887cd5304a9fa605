import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MxAnswer } from "../../../src/core/protocol/gateway/mx-answer.ts";
import { type MxSession, type OpenedMx, openMx } from "../../../src/worker/deliver/mx.ts";
import type { Behaviour } from "../../support/origin-behaviour.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { relay } from "../transports.ts";

const LIMIT = 5_000;
const LIMITS = { connect: 10_000, greeting: LIMIT, command: LIMIT, recipient: LIMIT, data: LIMIT, write: LIMIT };
/** Nobody listens there. */
const DEAD = "127.0.0.9";

let server: Origin | null = null;
let asked: string[];
beforeEach(() => {
  asked = [];
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server?.close();
  server = null;
});

/** The gateway's answer about a domain is the test's; its connections are the gateway's own. */
function answer(said: MxAnswer | string | number): void {
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    const { pathname, search } = new URL(String(input));
    if (pathname !== "/mx") return real(input, init);
    asked.push(search);
    if (typeof said === "number") return Promise.resolve(new Response(null, { status: said }));
    return Promise.resolve(new Response(typeof said === "string" ? said : JSON.stringify(said)));
  });
}

function mx(): Origin {
  if (!server) throw new Error("there is no server");
  return server;
}

async function open(behaviour: Behaviour, said: Partial<MxAnswer> = {}): Promise<OpenedMx> {
  server = await createOrigin(behaviour);
  const usual = {
    kind: "hosts",
    hosts: ["localhost"],
    port: mx().port,
    tls: "opportunistic",
    self: "gw.holdfast.test",
  };
  answer({ ...usual, ...said } as MxAnswer);
  return openMx("Exämple.test", relay(), { helo: "mx.holdfast.test", limits: LIMITS });
}

async function takes(opened: OpenedMx): Promise<void> {
  if (!("session" in opened)) throw new Error(JSON.stringify(opened));
  const { session } = opened;
  const writer = await session.begin({ from: "a@b.test", size: 10, body: "8BITMIME", smtputf8: false }, "c@d.test");
  if (!("write" in writer)) throw new Error(JSON.stringify(writer));
  await writer.write(new TextEncoder().encode("Subject: x\r\n\r\nHi\r\n"));
  expect(await writer.finish(LIMIT)).toMatchObject({ kind: "delivered" });
  session.close();
}

const transcript = async (pattern: RegExp) =>
  (await mx().report()).transcript.filter((line) => pattern.test(line)).map((line) => line.slice(3));

describe("a stranger's server", () => {
  it("is found by its domain, and takes the message in clear text where it has no TLS", async () => {
    const opened = await open({});
    expect(opened).toMatchObject({ host: "localhost", tls: "none" });
    expect(asked).toEqual([`?domain=${encodeURIComponent("Exämple.test")}`]);
    await takes(opened);
    expect(await mx().messages()).toHaveLength(1);
  });

  it.each(["trusted", "stranger", "misnamed"] as const)(
    "with a %s's certificate takes it under TLS, where nobody asked for more",
    async (certificate) => {
      const opened = await open({ tls: "starttls", certificate });
      expect(opened).toMatchObject({ tls: "unverified" });
      await takes(opened);
      expect(await transcript(/^C: (EHLO|STARTTLS)/)).toEqual([
        "EHLO gw.holdfast.test",
        "STARTTLS",
        "EHLO gw.holdfast.test",
      ]);
    },
  );

  it.each<[string, Behaviour]>([
    ["that refuses STARTTLS is spoken to in clear text", { tls: "starttls", steps: { starttls: "454 4.7.0 not now" } }],
    [
      "whose handshake fails is called again, in clear text",
      { tls: "starttls", steps: { starttls: { garbage: "not a handshake at all\r\n" } } },
    ],
    ["that hangs up at STARTTLS likewise", { tls: "starttls", steps: { starttls: { drop: true } } }],
  ])("%s", async (_name, behaviour) => {
    const opened = await open(behaviour);
    expect(opened).toMatchObject({ tls: "none" });
    await takes(opened);
  });

  it("that knows HELO alone is spoken to so", async () => {
    const opened = await open({ steps: { ehlo: "502 5.5.1 what?" } });
    await takes(opened);
  });

  describe("with a policy that asks for TLS", () => {
    it("takes it under TLS with a good certificate", async () => {
      const opened = await open({ tls: "starttls" }, { tls: "verified" });
      expect(opened).toMatchObject({ tls: "verified" });
      await takes(opened);
    });

    it.each<[string, Behaviour]>([
      ["a stranger's certificate", { tls: "starttls", certificate: "stranger" }],
      ["another host's certificate", { tls: "starttls", certificate: "misnamed" }],
      ["no STARTTLS", {}],
      ["a STARTTLS that it refuses", { tls: "starttls", steps: { starttls: "454 4.7.0 not now" } }],
    ])("gets nothing with %s, and not in clear text", async (_name, behaviour) => {
      const opened = await open(behaviour, { tls: "verified" });
      expect(opened).toMatchObject({ kind: "unavailable", where: "origin", phase: "starttls" });
      expect(await transcript(/^C: (MAIL|DATA)/)).toEqual([]);
    });
  });
});

describe("of several hosts", () => {
  it("the next is tried where the first cannot be reached", async () => {
    const opened = await open({}, { hosts: [DEAD, "localhost"] });
    expect(opened).toMatchObject({ host: "localhost" });
    await takes(opened);
  });

  it.each(["554 5.7.1 no", "421 4.3.2 busy", "450 4.7.1 later"])(
    "one that greets with %s leaves it to the next",
    async (greeting) => {
      const opened = await open({ steps: { greeting: [greeting, null] } }, { hosts: ["127.0.0.1", "localhost"] });
      expect(opened).toMatchObject({ host: "localhost" });
      await takes(opened);
    },
  );

  it("where none lets us in, what one said is what is told", async () => {
    const opened = await open({ steps: { greeting: "450 4.7.1 later" } }, { hosts: [DEAD, "localhost"] });
    const reply = { code: 450, enhanced: "4.7.1", text: "later" };
    expect(opened).toMatchObject({
      kind: "unavailable",
      where: "origin",
      reply,
      detail: expect.stringContaining("localhost"),
    });
  });
});

describe("a host that is ourselves", () => {
  it.each(["mx.holdfast.test", "GW.holdfast.test"])(
    "known by its greeting as %s gets nothing: a loop",
    async (name) => {
      const opened = await open({ steps: { greeting: `220 ${name} ESMTP` } });
      expect(opened).toMatchObject({ kind: "refused", reply: { code: 554, enhanced: "5.4.6" } });
      expect(await transcript(/^C: MAIL/)).toEqual([]);
    },
  );
});

describe("what the gateway says of a domain", () => {
  it("that takes no mail is for good", async () => {
    answer({ kind: "refused", code: 556, enhanced: "5.1.10", text: "no mail" });
    expect(await openMx("x.test", relay(), { helo: "h" })).toEqual({
      kind: "refused",
      phase: "rcpt",
      reply: { code: 556, enhanced: "5.1.10", text: "no mail" },
    });
  });

  it.each<[string, MxAnswer | string | number, "origin" | "path"]>([
    ["that its policy allows no host", { kind: "unavailable", where: "origin", detail: "x" }, "origin"],
    ["that its name server fails", { kind: "unavailable", where: "path", detail: "x" }, "path"],
    ["nonsense", '{"kind":"hosts","hosts":["a b"]}', "path"],
    ["no JSON", "<html>", "path"],
    ["that it does not know this question", 404, "path"],
    ["nothing", 503, "path"],
  ])("%s: later", async (_name, said, where) => {
    answer(said);
    expect(await openMx("x.test", relay(), { helo: "h" })).toMatchObject({ kind: "unavailable", where });
  });
});

it("an open session takes one message after the other", async () => {
  const opened = (await open({})) as MxSession;
  for (const to of ["a@d.test", "b@d.test", "c@d.test"]) {
    const writer = await opened.session.begin({ from: "", size: 10, body: "7BIT", smtputf8: false }, to);
    if (!("write" in writer)) throw new Error(JSON.stringify(writer));
    await writer.write(new TextEncoder().encode("Subject: x\r\n\r\n"));
    expect(await writer.finish(LIMIT)).toMatchObject({ kind: "delivered" });
  }
  opened.session.close();
  expect(await mx().report()).toMatchObject({ connections: 1 });
  expect((await mx().messages()).map(({ to }) => to)).toEqual([["a@d.test"], ["b@d.test"], ["c@d.test"]]);
});
