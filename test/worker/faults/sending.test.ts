/** What a person writes, and a run over the queue: each call of either fails; and the object that sends ends at each of its writes. */
import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import type { OutboundObject } from "../../../src/worker/send/object.ts";
import { wakeSending } from "../../../src/worker/send/upkeep.ts";
import { Clock, createSender, folder, outbound, rawOf, type Sender, text, write } from "../send/sending.ts";
import { COLUMNS, type Crash, named, runUntil } from "./ending.ts";
import { type Attempt, matrix, table } from "./matrix.ts";

const D = "sending-faults.example.org";
const LARGE = `${"0123456789abcdef".repeat(4)}\n`.repeat(17_000);
/** Refused for good, and once for a while, by the server that takes the others. */
const RECIPIENTS = { "gone@example.net": "550 5.1.1 no such user", "later@example.net": ["451 4.2.0 later", null] };
/** What waits after a failure of ours, and after a 451. */
const PAUSES = 1_200;

/** Of a large message it is the octets that go another way. */
const OCTETS = { only: ({ name }: { readonly name: string }) => name.startsWith("R2: ") };

let stage: Promise<{ sender: Sender; clock: Clock }> | null = null;
let count = 0;

matrix("a person's message is taken", (attempt) => take(attempt, "Hello."));
matrix("a person's large message is taken", (attempt) => take(attempt, LARGE), OCTETS);
matrix("a run over the queue", (attempt) => send(attempt, "Hello."));
matrix("a run over the queue, a large message", (attempt) => send(attempt, LARGE), OCTETS);

/** The same people for all cases; what their servers have had before is forgotten. */
async function begin(): Promise<{ sender: Sender; clock: Clock }> {
  stage ??= createSender(D).then(async (sender) => ({ sender, clock: await Clock.over(sender) }));
  const { sender, clock } = await stage;
  await sender.smartHost.forget();
  return { sender, clock };
}

/** The program that sends comes again under the same name until it has an answer. */
async function take(attempt: Attempt, body: string): Promise<string> {
  const { sender, clock } = await begin();
  const letter = { ...to(["zoe@example.net"]), text: body };
  const heard: number[] = [];
  let id: unknown = null;
  const again = async () => {
    const answer = await write(sender.ann, letter, { "idempotency-key": letter.subject });
    heard.push(answer.status);
    id = answer.body.id;
  };
  await attempt.run(again);
  for (let tries = 0; tries < 4 && heard.at(-1) !== 201; tries++) await again();
  expect(heard.at(-1), "taken in the end").toBe(201);
  expect(
    heard.slice(0, -1).every((status) => status >= 500),
    "never for good",
  ).toBe(true);
  await rest(clock);
  const [taken, ...more] = await atSmartHost(sender, letter.subject);
  expect(more, "sent once").toEqual([]);
  expect(taken?.endsWith(await rawOf(sender.ann, id)), "octet for octet").toBe(true);
  expect(await shown(sender.ann, "sent", letter.subject), "in Sent once").toBe(1);
  expect(await shown(sender.ann, "archive", letter.subject), "in the archive once").toBe(1);
  return heard.join(", then ");
}

/** To a colleague, to somebody elsewhere, to one who is refused and to one who is deferred. */
async function send(attempt: Attempt, body: string): Promise<string> {
  const { sender, clock } = await begin();
  const { letter, id } = await queue(sender, clock, body);
  await attempt.run(() => alarm(clock));
  await rest(clock);
  await expectSettled(sender, clock, letter.subject, id);
  expect(await toEach(sender, letter.subject), "to each once").toEqual({ zoe: 1, gone: 0, later: 1 });
  return "each once, one report";
}

const learned: string[] = [];
await end(null, learned);

table(
  "the object that sends ends in a run",
  COLUMNS,
  named(learned).flatMap((row, index) =>
    COLUMNS.map((column, after) => ({ row, column, play: () => end({ write: index + 1, after: after === 1 }, []) })),
  ),
);

async function end(crash: Crash | null, writes: string[]): Promise<string> {
  const { sender, clock } = await begin();
  const { letter, id } = await queue(sender, clock, "Hello.");
  const fired = await runInDurableObject(outbound(D), (object: OutboundObject, state) =>
    runUntil(object, state.storage.sql, crash, writes),
  );
  expect(fired, "the write was made").toBe(crash !== null);
  await evictDurableObject(outbound(D));
  await clock.enter();
  await rest(clock);
  await expectSettled(sender, clock, letter.subject, id);
  const { zoe, gone, later } = await toEach(sender, letter.subject);
  expect([gone, later], "nothing that was not in flight is sent again").toEqual([0, 1]);
  expect([1, 2], "nothing is lost").toContain(zoe);
  return zoe === 1 ? "each once, one report" : "the one in flight twice, one report";
}

function to(recipients: string[]) {
  count++;
  return { to: recipients, subject: `Sending fault ${count}` };
}

async function queue(sender: Sender, clock: Clock, body: string) {
  await sender.smartHost.set({ recipients: RECIPIENTS });
  const outside = ["zoe", "gone", "later"].map((local) => `${local}@example.net`);
  const letter = { ...to([...outside, `bob@${D}`]), text: body };
  return { letter, id: await clock.write(letter) };
}

/** The time has come, whatever is armed: what the object was told when it was woken is a minute old. */
async function alarm(clock: Clock): Promise<void> {
  clock.now += 1000;
  await runInDurableObject(outbound(D), (_object: OutboundObject, state) =>
    state.storage.setAlarm(Date.now() + 60_000),
  );
  await runDurableObjectAlarm(outbound(D));
}

/** Cron and alarms, until nothing is due any more. */
async function rest(clock: Clock): Promise<void> {
  clock.now += 1000;
  await wakeSending(env as Env);
  await clock.enter();
  await clock.run(PAUSES);
}

async function atSmartHost(sender: Sender, subject: string): Promise<string[]> {
  const messages = await sender.smartHost.messages();
  return messages.map(({ raw }) => text(raw)).filter((raw) => raw.includes(`Subject: ${subject}\r\n`));
}

/** How often the server has taken it for each. */
async function toEach(sender: Sender, subject: string): Promise<Record<"zoe" | "gone" | "later", number>> {
  const messages = (await sender.smartHost.messages()).filter(({ raw }) =>
    text(raw).includes(`Subject: ${subject}\r\n`),
  );
  const times = (local: string) => messages.filter((one) => one.to.includes(`${local}@example.net`)).length;
  return { zoe: times("zoe"), gone: times("gone"), later: times("later") };
}

/** The colleague has it, the writer knows what became of it, and nothing is in the queue any more. */
async function expectSettled(sender: Sender, clock: Clock, subject: string, id: number): Promise<void> {
  expect(await shown(sender.bob, "inbox", subject), "the colleague has it once").toBe(1);
  const states = await clock.states(id);
  const stateOf = (local: string) => states.find(({ recipient }) => recipient.startsWith(`${local}@`))?.state;
  expect(["zoe", "gone", "later", "bob"].map(stateOf), "known of each").toEqual([
    "delivered",
    "refused",
    "delivered",
    "delivered",
  ]);
  expect(await shown(sender.ann, "inbox", `[Not delivered] ${subject}`), "one report").toBe(1);
  const due = env.SHARD_0.prepare("SELECT count(*) AS n FROM outgoing_recipient WHERE due IS NOT NULL");
  expect(await due.first<number>("n"), "nothing is due").toBe(0);
}

async function shown(token: string, name: string, subject: string): Promise<number> {
  return (await folder(token, name)).filter((item) => item.subject === subject).length;
}
