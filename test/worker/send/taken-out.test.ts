/** What somebody takes out of the queue, or stops, while a run is under way that has read its rows already. */
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { SEND_LANES } from "../../../src/core/send/limits.ts";
import type { Env } from "../../../src/worker/env.ts";
import { asOperator } from "../access/client.ts";
import { withCalls } from "../broken.ts";
import { Clock, createSender, folder, type Sender } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`taken-out-${count}.example.org`);
  clock = await Clock.over(sender);
});

const path = (rest = "") => `/api/domains/${sender.domain}/outgoing${rest}`;
const arrived = async () => (await sender.smartHost.messages()).map((message) => message.to[0]).sort();
/** The name of a recipient in the queue. */
const queued = async (recipient: string) => {
  const { items } = (await asOperator("GET", path())).body as { items: { id: string; recipient: string }[] };
  return items.find((item) => item.recipient === recipient)?.id;
};
const final = async () => (await sender.smartHost.report()).transcript.filter((line) => line.endsWith(" .")).length;

/** Every lane waits for a reply; one message more has been read, and waits for a lane. @returns lets the lanes go on */
async function withFullHands(): Promise<() => Promise<void>> {
  await sender.smartHost.set({ steps: { final: { held: true } } });
  for (let number = 0; number < SEND_LANES; number++) await clock.write({ to: [`in-hand-${number}@example.net`] });
  await clock.write({ to: ["next@example.net"] });
  const run = clock.run();
  await vi.waitFor(async () => expect(await final()).toBe(SEND_LANES), { timeout: 20_000, interval: 20 });
  return async () => {
    await sender.smartHost.set({});
    await run;
    await clock.run();
  };
}

const HANDS = Array.from({ length: SEND_LANES }, (_, number) => `in-hand-${number}@example.net`);

describe("while a run is under way", () => {
  it("what is taken out of the queue does not go out, and its writer hears so once", async () => {
    const goOn = await withFullHands();
    expect((await asOperator("DELETE", path(`/${await queued("next@example.net")}`))).status).toBe(204);
    await goOn();
    expect(await arrived()).toEqual(HANDS);
    expect((await folder(sender.ann, "inbox")).map(({ subject }) => subject)).toEqual(["[Not delivered] Hello"]);
  });

  it("what is being sent is not taken out: whoever asks hears so, and it arrives", async () => {
    const goOn = await withFullHands();
    const answer = await asOperator("DELETE", path(`/${await queued("in-hand-1@example.net")}`));
    expect(answer).toMatchObject({ status: 409, body: { code: "being_sent" } });
    await goOn();
    expect(await arrived()).toEqual([...HANDS, "next@example.net"]);
    expect(await folder(sender.ann, "inbox")).toEqual([]);
  });

  it("a message of which the final dot is not sent yet is being sent too", async () => {
    await sender.smartHost.set({ steps: { rcpt: { delay: 1_000 } } });
    await clock.write({ to: ["zoe@example.net"] });
    const run = clock.run();
    const asked = async () => (await sender.smartHost.report()).transcript.some((line) => line.includes("RCPT TO"));
    await vi.waitFor(async () => expect(await asked()).toBe(true), { timeout: 20_000, interval: 20 });
    expect((await asOperator("DELETE", path(`/${await queued("zoe@example.net")}`))).status).toBe(409);
    await run;
    expect(await arrived()).toEqual(["zoe@example.net"]);
  });

  it("a mailbox that is stopped sends nothing more but what is being sent", async () => {
    const goOn = await withFullHands();
    expect((await asOperator("PUT", path(`/stops/ann@${sender.domain}`))).status).toBe(204);
    await goOn();
    expect(await arrived()).toEqual(HANDS);
    expect(await queued("next@example.net")).toBeDefined();
  });

  it("what went out while somebody took it out was not taken out", async () => {
    await clock.write({ to: ["zoe@example.net"] });
    const id = await queued("zoe@example.net");
    let answerRead = () => {};
    const answered = new Promise<void>((resolve) => {
      answerRead = resolve;
    });
    let read = () => {};
    const wasRead = new Promise<void>((resolve) => {
      read = resolve;
    });
    // The row as it was before the run, which comes only after it.
    const late = (statement: D1PreparedStatement): D1PreparedStatement =>
      withCalls(statement, {
        bind: (...values: unknown[]) => late(statement.bind(...values)),
        first: async () => {
          const row = await statement.first();
          read();
          await answered;
          return row;
        },
      });
    const shard = withCalls(env.SHARD_0, {
      prepare: (sql: string) =>
        /WHERE r\.id = \?1/.test(sql) ? late(env.SHARD_0.prepare(sql)) : env.SHARD_0.prepare(sql),
    });
    clock.env = { ...env, SHARD_0: shard } as Env;
    await clock.enter();
    const taking = asOperator("DELETE", path(`/${id}`));
    await wasRead;
    await clock.run();
    answerRead();
    expect((await taking).status).toBe(404);
    await clock.run(3600);
    expect(await arrived()).toEqual(["zoe@example.net"]);
    expect(await folder(sender.ann, "inbox")).toEqual([]);
    expect(await clock.events("outgoing_cancelled")).toEqual([]);
  });
});
