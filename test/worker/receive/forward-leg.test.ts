/** What may go wrong with forward() itself. */
import { expect, it } from "vitest";
import type { Outcome } from "../../../src/core/outcome.ts";
import { Budget } from "../../../src/worker/receive/budget.ts";
import { ForwardLeg } from "../../../src/worker/receive/forward-leg.ts";
import type { Late } from "../../../src/worker/receive/origin-leg.ts";
import type { Leg } from "../../../src/worker/receive/pipeline.ts";

/** The way beside it; it takes everything. */
class Smtp implements Leg {
  readonly usable = true;
  readonly said: string[] = [];
  async recipient(to: string): Promise<Outcome> {
    this.said.push(`RCPT ${to}`);
    return { kind: "delivered", reply: { code: 250, text: "ok" } };
  }
  async data(trace: Uint8Array): Promise<void> {
    this.said.push(`DATA ${new TextDecoder().decode(trace)}`);
  }
  async write(chunk: Uint8Array): Promise<void> {
    this.said.push(new TextDecoder().decode(chunk));
  }
  async finish(): Promise<Outcome> {
    this.said.push(".");
    return { kind: "delivered", reply: { code: 250, text: "queued" } };
  }
  readonly lineEndsChanged = false;
  close(): void {
    this.said.push("QUIT");
  }
}

function open(forward: () => Promise<unknown>, { smtp = new Smtp(), milliseconds = 10_000 } = {}) {
  const failures: string[] = [];
  let calls = 0;
  const leg = new ForwardLeg({
    message: {
      forward: () => {
        calls += 1;
        return forward();
      },
    },
    domain: "inside.example",
    host: "mx.holdfast.test",
    budget: new Budget(milliseconds),
    smtp,
    failed: (destination, why) => failures.push(`${destination}: ${why}`),
  });
  return { leg, smtp, failures, calls: () => calls };
}

const bytes = (text: string) => new TextEncoder().encode(text);

async function through(leg: ForwardLeg): Promise<Outcome | Late> {
  await leg.recipient("ann@forward.example");
  await leg.data(bytes("Received: x"));
  await leg.write(bytes("one"));
  await leg.write(bytes("two"));
  return leg.finish();
}

it("a forward() that never answers is no evidence against the origin, and the origin is not given what may still arrive", async () => {
  const { leg, smtp, failures } = open(() => new Promise(() => undefined), { milliseconds: 20 });
  expect(await through(leg)).toMatchObject({ kind: "unavailable", where: "path", reason: "timeout" });
  expect(smtp.said).toEqual([]);
  expect(failures).toEqual(["ann@inside.example: no answer from forward() to ann@inside.example in time"]);
});

it("a forward() that fails after its time has been over changes nothing more", async () => {
  let fail: (error: Error) => void = () => undefined;
  const { leg, smtp } = open(() => new Promise((_resolve, reject) => (fail = reject)), { milliseconds: 20 });
  const outcome = await through(leg);
  fail(new Error("too late"));
  await Promise.resolve();
  expect(outcome).toMatchObject({ reason: "timeout" });
  expect(smtp.said).toEqual([]);
});

it.each([
  ["rejects with an error", () => Promise.reject(new Error("not verified")), "not verified"],
  ["rejects with something else", () => Promise.reject("odd"), "odd"],
  [
    "throws at once",
    () => {
      throw new Error("cannot forward email to same worker");
    },
    "cannot forward email to same worker",
  ],
])("a forward() that %s leaves the whole message to SMTP, once", async (_how, forward, why) => {
  const { leg, smtp, failures } = open(forward);
  expect(await through(leg)).toEqual({ kind: "delivered", reply: { code: 250, text: "queued" } });
  expect(smtp.said).toEqual(["RCPT ann@forward.example", "DATA Received: x", "one", "two", "."]);
  expect(failures).toEqual([`ann@inside.example: forward() to ann@inside.example: ${why}`]);
});

it.each([
  ["timeout", "path"],
  ["no_connection", "origin"],
] as const)(
  "an origin that has less time after forward() and ends in %s is blamed on the %s",
  async (reason, where) => {
    const smtp = new Smtp();
    smtp.recipient = async () => ({ kind: "unavailable", where: "origin", phase: "rcpt", reason });
    const { leg } = open(() => Promise.reject(new Error("not verified")), { smtp });
    expect(await through(leg)).toMatchObject({ kind: "unavailable", where, phase: "rcpt", reason });
  },
);

it("is called once a message: the platform takes a second call for an error", async () => {
  const { leg, calls } = open(async () => null);
  expect(leg.usable).toBe(true);
  expect(await through(leg)).toMatchObject({ kind: "delivered", where: "path" });
  expect(leg.usable).toBe(false);
  expect(await leg.finish()).toMatchObject({ kind: "unavailable", where: "path" });
  expect(calls()).toBe(1);
});

it("is not called where the sender goes away before the end of its message", async () => {
  const { leg, smtp, calls } = open(async () => null);
  await leg.recipient("ann@forward.example");
  await leg.data(bytes("Received: x"));
  await leg.write(bytes("one"));
  leg.close();
  expect(calls()).toBe(0);
  expect(smtp.said).toEqual(["QUIT"]);
});

it("takes one recipient: forwarding to several would have several outcomes", async () => {
  const { leg } = open(async () => null);
  expect((await leg.recipient("ann@forward.example")).kind).toBe("delivered");
  expect(await leg.recipient("bob@forward.example")).toMatchObject({ kind: "unavailable", where: "path" });
});

it("forwards a quoted local part as it was received", async () => {
  const sent: string[] = [];
  const quoted = new ForwardLeg({
    message: { forward: async (to) => void sent.push(to) },
    domain: "inside.example",
    host: "mx.holdfast.test",
    budget: new Budget(),
    smtp: null,
    failed: () => undefined,
  });
  await quoted.recipient('"a@b c"@forward.example');
  expect((await quoted.finish()).kind).toBe("delivered");
  expect(sent).toEqual(['"a@b c"@inside.example']);
});
