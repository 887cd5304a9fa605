/** What a message that goes out costs, counted at the bindings. */
import { env } from "cloudflare:test";
import { beforeAll, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { counted } from "../counters.ts";
import { Clock, createSender, type Sender } from "./sending.ts";

let sender: Sender;
let clock: Clock;

beforeAll(async () => {
  sender = await createSender("costs-of-sending.example.org");
  clock = await Clock.over(sender);
  await clock.write({ to: ["first@example.net"] });
  await clock.run();
});

it("a message to one recipient: stored, archived, in Sent and queued", async () => {
  const { env: counting, counts } = counted(env as Env);
  await clock.write({ to: ["zoe@example.net"] }, null, counting);
  expect(counts).toMatchObject({ classA: 1, classB: 0, rowsWritten: 16, objectRequests: 3 });
});

it("sending it: its octets are read once, and its recipient's row is settled", async () => {
  const { env: counting, counts } = counted(env as Env);
  clock.env = counting;
  await clock.enter();
  await clock.run();
  expect(await sender.smartHost.messages()).toHaveLength(2);
  expect(counts).toMatchObject({ classA: 0, classB: 1, rowsWritten: 1, objectRequests: 0 });
});

it("ten messages are settled together", async () => {
  for (let number = 0; number < 10; number++) await clock.write({ to: [`r${number}@example.net`] });
  const { env: counting, counts } = counted(env as Env);
  clock.env = counting;
  await clock.enter();
  await clock.run();
  expect(counts).toMatchObject({ classB: 10, rowsWritten: 10 });
});
