/** A customer's server hands a message over, and it goes out; each call until it is taken fails. */
import { env } from "cloudflare:test";
import { expect } from "vitest";
import { Clock, createSender, type Sender, text } from "../send/sending.ts";
import { letter, relay, submitAs } from "../submission/client.ts";
import { type Attempt, matrix } from "./matrix.ts";

const D = "submission-faults.example.org";
const SERVER = "198.41.0.10";
const ann = `ann@${D}`;
let stage: Promise<{ sender: Sender; clock: Clock }> | null = null;
let count = 0;

matrix("a smart host's message is taken", (attempt) => play(attempt, "Hello.\r\n"));
matrix("a smart host's large message is taken", (attempt) =>
  play(attempt, `${"0123456789abcdef".repeat(4)}\r\n`.repeat(17_000)),
);

async function open(): Promise<{ sender: Sender; clock: Clock }> {
  const sender = await createSender(D);
  await relay(D, { address: SERVER });
  return { sender, clock: await Clock.over(sender) };
}

async function play(attempt: Attempt, body: string): Promise<string> {
  stage ??= open();
  const { sender, clock } = await stage;
  count++;
  const subject = `Submission fault ${count}`;
  const octets = letter(ann, { subject, body, id: `submission-fault-${count}` });
  const heard: string[] = [];
  const again = async () => {
    const { mail, recipients, final } = await submitAs({ ip: SERVER }, ann, ["zoe@example.net"], octets);
    heard.push(String((final ?? recipients[0] ?? mail)?.code));
  };
  await attempt.run(again);
  for (let tries = 0; tries < 4 && heard.at(-1) !== "250"; tries++) await again();
  expect(heard.at(-1), "taken in the end").toBe("250");
  for (const code of heard) expect(code, "never for good").not.toMatch(/^5/);

  // Where its object has not heard that there is something, the cron wakes it.
  const id = await env.DIRECTORY.prepare("SELECT id FROM domain WHERE name = ?").bind(D).first<number>("id");
  await env.OUTBOUND.getByName(D).wake(D, Number(id));
  await clock.enter();
  await clock.run(60);
  const taken = (await sender.smartHost.messages()).filter(({ raw }) => text(raw).includes(`Subject: ${subject}\r\n`));
  expect(taken.length, "sent once").toBe(1);
  expect(text(taken[0]?.raw ?? new Uint8Array()).endsWith(octets), "octet for octet").toBe(true);
  const rows = env.SHARD_0.prepare("SELECT count(*) AS n FROM message WHERE subject = ? AND direction = 'out'");
  expect(await rows.bind(subject).first<number>("n"), "in its author's archive once").toBe(1);
  return heard.join(", then ");
}
