/** What cron does: copies out of the archive's reach, the purge, the sweep for copies without a row, full text made anew. Each call of it fails once. */
import { env } from "cloudflare:test";
import { expect } from "vitest";
import { mendArchive } from "../../../src/worker/archive/mend.ts";
import { renewFullText } from "../../../src/worker/archive/renewal.ts";
import { hourly } from "../../../src/worker/archive/retention.ts";
import type { Env } from "../../../src/worker/env.ts";
import { call, json } from "../access/client.ts";
import { letter } from "../receive/organisation.ts";
import { type Call, withFault } from "./injector.ts";
import { type Attempt, matrix, onStage } from "./matrix.ts";
import type { Scene } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

const DAY = 24 * 3600_000;
/** Whole shards are looked through in this hour, UTC. */
const PASS = 3 * 3600_000;

matrix(
  "retention: what the portal keeps is copied out of the archive's reach",
  onStage({ mode: "emergency", origin: "down" }, keep),
);
matrix("retention: what is older than 90 days leaves the index", onStage({}, purge));
matrix("the hourly sweep: an archive copy whose row could not be written", onStage({}, sweep));

matrix("the cron of each minute: the full text of what was stored before it had its present form", onStage({}, renew));

/** Cron logs what failed, and comes again the next hour. @returns in words */
async function cron(attempt: Attempt, work: () => Promise<unknown>): Promise<string> {
  let came = "done";
  await attempt.run(() =>
    work().catch(() => {
      came = "fails";
    }),
  );
  await work();
  return came;
}

async function keep(scene: Scene, attempt: Attempt): Promise<string> {
  const octets = letter();
  const subject = subjectOf(octets);
  const { token } = scene.mailbox("ann");
  await new Sender("Email Routing", octets, [scene.address("ann")]).try();
  const placed = await itemOf("/api/mail/messages?folder=inbox", token, subject);
  await json("PATCH", `/api/mail/messages/${placed}`, { token, body: { folder: "junk" } });
  const later = dayAfter(86);
  const came = await cron(attempt, () => hourly(env as Env, later));
  await expireArchive();
  const id = await itemOf("/api/archive", token, subject);
  const raw = await call("GET", `/api/archive/${id}/raw`, { token });
  expect(new Uint8Array(await raw.arrayBuffer()), "readable after the archive's rule").toEqual(octets);
  await scene.repair();
  await scene.rest();
  return `${came}; kept once`;
}

async function purge(scene: Scene, attempt: Attempt): Promise<string> {
  const old = letter();
  await new Sender("Email Routing", old, [scene.address("ann")]).try();
  const newest = letter();
  await new Sender("Email Routing", newest, [scene.address("ann")]).try();
  const came = await cron(attempt, () => hourly(env as Env, dayAfter(91)));
  expect((await scene.kept(subjectOf(old))).inArchive.ann, "gone from the index").toBe(0);
  const { body } = await json("GET", `/api/archive?q=${encodeURIComponent(`"${subjectOf(old)}"`)}`, {
    token: scene.mailbox("ann").token,
  });
  expect(body.items, "and from the full text").toEqual([]);
  return `${came}; gone once`;
}

async function renew(scene: Scene, attempt: Attempt): Promise<string> {
  const octets = letter();
  const subject = subjectOf(octets);
  await new Sender("Email Routing", octets, [scene.address("ann")]).try();
  await env.SHARD_0.prepare("DELETE FROM full_text WHERE rowid IN (SELECT id FROM message WHERE subject = ?1)")
    .bind(subject)
    .run();
  await env.DIRECTORY.prepare("DELETE FROM task WHERE name = 'renewal'").run();
  const came = await cron(attempt, () => renewFullText(env as Env, Date.now(), { again: true }));
  const found = await json("GET", `/api/archive?q=${encodeURIComponent(`subject:"${subject}"`)}`, {
    token: scene.mailbox("ann").token,
  });
  expect(found.body.items, "found by its words, once").toHaveLength(1);
  return `${came}; found once`;
}

async function sweep(scene: Scene, attempt: Attempt): Promise<string> {
  const octets = letter();
  const subject = subjectOf(octets);
  const sender = new Sender("Email Routing", octets, [scene.address("ann")]);
  const row: Call = { name: "D1 shard 0: batch writes message, full_text", nth: 1 };
  expect(await withFault(row, "before", () => sender.try())).toBe(true);
  expect((await scene.kept(subject)).inArchive.ann).toBe(0);
  // As if none had been before: the hour is the same in each case.
  await env.DIRECTORY.prepare("DELETE FROM task WHERE name = 'sweep'").run();
  const came = await cron(attempt, () => mendArchive(env as Env, Date.now() + 3600_000));
  expect((await scene.kept(subject)).inArchive.ann, "in the archive once").toBe(1);
  await scene.expectShown(subject, ["ann"]);
  return `${came}; in the archive once`;
}

/** That many days from now, in the hour of the whole pass. */
function dayAfter(days: number): number {
  return Math.floor((Date.now() + days * DAY) / DAY) * DAY + PASS;
}

/** What R2's lifecycle rule does on the 91st day. */
async function expireArchive(): Promise<void> {
  const { objects } = await env.MAIL.list({ prefix: "archive/" });
  if (objects.length > 0) await env.MAIL.delete(objects.map(({ key }) => key));
}

async function itemOf(path: string, token: string, subject: string): Promise<string> {
  const { body } = await json("GET", path, { token });
  const item = (body.items as { id: string; subject: string }[]).find((one) => one.subject === subject);
  if (!item) throw new Error(`${path} does not show the message`);
  return item.id;
}
