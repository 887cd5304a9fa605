/** Mail that goes straight to the recipients' own servers. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MxAnswer } from "../../../src/core/protocol/gateway/mx-answer.ts";
import { asOperator, json } from "../access/client.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { must } from "../receive/organisation.ts";
import { Clock, createSender, folder, type Sender } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let net: Origin;
let count = 0;
/** What a gateway says of each domain. */
let answers: Record<string, MxAnswer>;
let asked: string[];

beforeEach(async () => {
  count++;
  sender = await createSender(`straight-${count}.example.org`);
  await must("PUT", `/api/domains/${sender.domain}`, { outgoing: { transport: "gateway" } });
  clock = await Clock.over(sender);
  net = await createOrigin({ tls: "starttls", certificate: "stranger" });
  asked = [];
  const hosts: MxAnswer = {
    kind: "hosts",
    hosts: ["localhost"],
    port: net.port,
    tls: "opportunistic",
    self: "gw.holdfast.test",
  };
  answers = { "example.net": hosts, "example.com": hosts };
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    const { pathname, searchParams } = new URL(String(input));
    if (pathname !== "/mx") return real(input, init);
    const domain = searchParams.get("domain") ?? "";
    asked.push(domain);
    return Promise.resolve(Response.json(answers[domain] ?? { kind: "unavailable", where: "path", detail: "?" }));
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await net.close();
});

describe("mail to other domains", () => {
  it("goes to each domain's own server, all its recipients in one transaction", async () => {
    await clock.write({ to: ["zoe@example.net", "yan@example.net", "xi@example.com"] });
    await clock.run();
    const taken = (await net.messages()).map(({ to }) => to);
    expect(taken.sort((a, b) => b.length - a.length)).toEqual([
      ["zoe@example.net", "yan@example.net"],
      ["xi@example.com"],
    ]);
    expect(asked.sort()).toEqual(["example.com", "example.net"]);
  });

  it("of several messages goes over one connection", async () => {
    for (let at = 0; at < 3; at++) await clock.write({ to: ["zoe@example.net"], subject: `Number ${at}` });
    await clock.run();
    expect(await net.messages()).toHaveLength(3);
    expect((await net.report()).connections).toBeLessThanOrEqual(3);
  });

  it("to a domain that takes none comes back at once, with the reason", async () => {
    answers["example.net"] = {
      kind: "refused",
      code: 556,
      enhanced: "5.1.10",
      text: "The domain example.net takes no mail (null MX)",
    };
    const id = await clock.write({ to: ["zoe@example.net"], subject: "To nowhere" });
    await clock.run();
    expect(await clock.states(id)).toMatchObject([{ state: "refused", reply: expect.stringContaining("5.1.10") }]);
    expect(await folder(sender.ann, "inbox")).toMatchObject([{ subject: expect.stringContaining("To nowhere") }]);
  });

  it("whose server cannot be had is tried again, and goes then", async () => {
    await net.stop();
    const id = await clock.write({ to: ["zoe@example.net"] });
    await clock.run();
    expect(await clock.states(id)).toMatchObject([{ state: "waiting" }]);
    await net.start();
    await clock.run(120);
    expect(await clock.states(id)).toMatchObject([{ state: "delivered" }]);
  });

  it("waits where no gateway answers: that is no word about anybody's server", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const id = await clock.write({ to: ["zoe@unknown.example"] });
    await clock.run();
    expect(await clock.states(id)).toMatchObject([{ state: "waiting" }]);
  });
});

it("the transport is refused where the service has no gateway", async () => {
  const { status, body } = await json("PUT", `/api/domains/${sender.domain}`, {
    token: "operator-token-of-the-tests",
    body: { outgoing: { transport: "gateway" } },
    env: { GATEWAYS: "" },
  });
  expect(status).toBe(422);
  expect(body.detail).toContain("this service has none");
  expect((await asOperator("GET", `/api/domains/${sender.domain}`)).body).toMatchObject({
    outgoing: { transport: "gateway" },
  });
});
