/** Forwarding changes no octet, and loses none where something of our own fails as well. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { fails, withCalls } from "../broken.ts";
import {
  allIsWell,
  at,
  createForwarding,
  Destination,
  DOMAIN,
  outcomeOf,
  refusing,
  UNVERIFIED,
  unreachable,
} from "./forwarding.ts";
import {
  belowOurs,
  createOrganisation,
  kept,
  letter,
  must,
  type Organisation,
  octetsIn,
  sendByEmailRouting,
} from "./organisation.ts";

vi.setConfig({ testTimeout: 30_000 });
beforeAll(createForwarding);
beforeEach(allIsWell);

describe("octets: the archive has what was received, and SMTP carries the same that it does without forwarding", () => {
  const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
  const odd = (id: number, body: string) => latin1(`Message-ID: <odd-${id}@example.net>\r\n\r\n${body}`);
  let plain: Organisation;
  beforeAll(async () => {
    plain = await createOrganisation("plain.example");
  });

  it.each([
    ["NUL and eight bits", odd(1, "a\0b\xff\xfe\x80\r\n")],
    ["bare line feeds", odd(2, "a\nb\n\n.\nc\r\n")],
    ["bare carriage returns", odd(3, "a\rb\r\r\n.\r\nc\r\n")],
    ["dots at the beginning of lines", odd(4, ".\r\n..\r\n.a\r\n")],
    ["a line of 100,000 octets", odd(5, `${"x".repeat(100_000)}\r\n`)],
    ["no line end at the end", odd(6, "the end")],
  ])("%s", async (_what, octets) => {
    const forwarded = await outcomeOf(at("ann"), new Destination(), octets);
    expect(await octetsIn(forwarded.news[0]?.key ?? "")).toEqual(octets);
    const before = (await plain.origin.messages()).length;
    expect((await sendByEmailRouting("ann@plain.example", octets)).kind).toBe("accepted");
    const [direct] = (await plain.origin.messages()).slice(before);
    const beside = await outcomeOf(at("bob"), refusing(UNVERIFIED), octets);
    expect(beside.origin).toHaveLength(1);
    expect(belowOurs(beside.origin[0]?.raw ?? new Uint8Array())).toEqual(belowOurs(direct?.raw ?? new Uint8Array()));
    expect(await octetsIn(beside.news[0]?.key ?? "")).toEqual(octets);
  });
});

describe("when something of our own fails as well", () => {
  const brokenStore: Env = { ...(env as Env), MAIL: withCalls(env.MAIL, { put: fails("R2") }) };

  it("what forward() takes is accepted without its archive copy, which becomes an event", async () => {
    const octets = letter();
    const { forward } = new Destination();
    const answer = await sendByEmailRouting(at("bob"), octets, "a@example.net", { forward }, brokenStore);
    expect(answer.kind).toBe("accepted");
    const { items } = (await must("GET", `/api/domains/${DOMAIN}/events`)) as {
      items: { kind: string; data: object }[];
    };
    expect(items[0]).toMatchObject({ kind: "archive_copy_missing", data: { missing: "octets", to: [at("bob")] } });
  });

  it("what neither forward() nor the origin takes and cannot be stored stays with the sender", async () => {
    await unreachable();
    const rows = (await kept(DOMAIN)).length;
    const { forward } = refusing(UNVERIFIED);
    const answer = await sendByEmailRouting(at("bob"), letter(), "a@example.net", { forward }, brokenStore);
    expect(answer).toEqual({
      kind: "temporary",
      text: "451 4.3.0 The message could not be stored, please try again later",
    });
    expect(await kept(DOMAIN)).toHaveLength(rows);
  });

  it("what was forwarded although forward() failed comes twice at most, and is archived once", async () => {
    const arrived: string[] = [];
    const destination = new Destination(async () => {
      arrived.push("forwarded");
      throw new Error("connection lost");
    });
    const octets = letter();
    const first = await outcomeOf(at("bob"), destination, octets);
    const again = await outcomeOf(at("bob"), destination, octets);
    expect([first.answer.kind, again.answer.kind]).toEqual(["accepted", "accepted"]);
    expect([arrived.length, first.origin.length, again.origin.length]).toEqual([1, 1, 0]);
    expect([first.news.length, again.news.length]).toEqual([1, 0]);
  });
});
