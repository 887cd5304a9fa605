/** What follows an arrival in emergency mode, a vacation notice and a copy to a private address: each call of it fails once. */
import { env } from "cloudflare:test";
import { expect } from "vitest";
import { wakeOutbound } from "../../../src/worker/send/ask.ts";
import { json } from "../access/client.ts";
import { letter, send } from "../receive/organisation.ts";
import { Clock, createSender, folder, type Sender, text, userOf } from "../send/sending.ts";
import { type Attempt, matrix } from "./matrix.ts";
import { subjectOf } from "./sender.ts";

const D = "away-faults.example.org";
const PRIVATE = "private@example.com";
const ann = `ann@${D}`;
/** Ahead of the platform's time, so that no alarm goes off by itself. */
const AHEAD = 3600_000;

let stage: Promise<{ sender: Sender; clock: Clock; domain: number }> | null = null;
let count = 0;

matrix("a message arrives for somebody who is away and has it sent on", (attempt) => play(attempt, "arrival"), {
  only: ({ name }) => /follow_up|outbound object/.test(name),
});
matrix("its sender is answered, and a copy is queued", (attempt) => play(attempt, "follow-up"), {
  // The calls of the queue, which come after, fail in other scenarios.
  only: ({ name, nth }) =>
    !/reads outgoing_recipient|writes outgoing_recipient$|domain's object/.test(name) &&
    nth <= (/R2: (get|body)/.test(name) ? 1 : 2),
});

async function open() {
  const sender = await createSender(D);
  const { mailbox, domain } = await userOf(ann);
  await json("PUT", "/api/mail/vacation", { token: sender.ann, body: { isEnabled: true, textBody: "Away." } });
  await env.SHARD_0.prepare("UPDATE on_arrival SET forward_to = ?2 WHERE account = ?1").bind(mailbox, PRIVATE).run();
  return { sender, clock: await Clock.over(sender), domain };
}

async function play(attempt: Attempt, fails: "arrival" | "follow-up"): Promise<string> {
  stage ??= open();
  const { sender, clock, domain } = await stage;
  await clock.enter();
  clock.now = Math.max(clock.now < Date.now() + 24 * AHEAD ? clock.now : 0, Date.now() + AHEAD);
  count++;
  const from = `zoe${count}@example.net`;
  const octets = letter({ From: from, To: ann });
  const subject = subjectOf(octets);
  const heard: (number | undefined)[] = [];
  const arrives = async () => {
    const { rcpt, final } = await send([ann], octets, { from });
    heard.push((final ?? rcpt[0])?.code);
  };
  if (fails === "arrival") await attempt.run(arrives);
  for (let tries = 0; tries < 4 && heard.at(-1) !== 250; tries++) await arrives();
  expect(heard.at(-1), "taken in the end").toBe(250);
  if (fails === "follow-up") await attempt.run(() => clock.run(0));

  // The cron, should nobody else have woken it; and the longest pause that a few failures make.
  await wakeOutbound(env, { id: domain, name: D });
  await clock.run(3600);
  const out = (await sender.smartHost.messages()).map(({ to, raw }) => ({ to: to[0], raw: text(raw) }));
  expect(out.filter(({ to }) => to === from).length, "its sender hears of it once").toBe(1);
  const copies = out.filter(({ to, raw }) => to === PRIVATE && raw.includes(`Subject: ${subject}\r\n`));
  expect(copies.length, "sent on once").toBe(1);
  expect(copies[0]?.raw.endsWith(text(octets)), "as it came").toBe(true);
  const inbox = (await folder(sender.ann, "inbox")).filter((message) => message.subject === subject);
  expect(inbox.length, "in the inbox once").toBe(1);
  expect(await env.SHARD_0.prepare("SELECT count(*) AS n FROM follow_up").first("n"), "nothing is left to do").toBe(0);
  await sender.smartHost.forget();
  return fails === "arrival" ? heard.join(", then ") : "answered once, sent on once";
}
