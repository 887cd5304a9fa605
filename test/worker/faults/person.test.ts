/** A person moves or deletes a message that waits, or has one of the archive delivered again; each call of it fails. */
import { expect } from "vitest";
import { type Json, json } from "../access/client.ts";
import { letter } from "../receive/organisation.ts";
import { type Attempt, matrix, onStage } from "./matrix.ts";
import type { Scene } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

const EMERGENCY = { mode: "emergency", origin: "down" } as const;

matrix(
  "a person moves a message that waits, and tries again where it failed",
  onStage(EMERGENCY, (scene, attempt) => take(scene, attempt, "moves", true)),
);
matrix(
  "a person deletes a message that waits, and leaves it where it failed",
  onStage(EMERGENCY, (scene, attempt) => take(scene, attempt, "deletes", false)),
);
matrix(
  "a person has a message of the archive delivered again, to the origin",
  onStage({}, (scene, attempt) => again(scene, attempt)),
);
matrix(
  "a person has a message of the archive delivered again, to the portal",
  onStage(EMERGENCY, (scene, attempt) => again(scene, attempt)),
);

interface Answer {
  readonly status: number;
  readonly body: Json;
}

async function sent(scene: Scene): Promise<{ octets: Uint8Array; subject: string; to: string; token: string }> {
  const octets = letter();
  const to = scene.address("ann");
  await new Sender("Email Routing", octets, [to]).try();
  return { octets, to, subject: subjectOf(octets), token: scene.mailbox("ann").token };
}

async function idOf(path: string, token: string, subject: string): Promise<string> {
  const { body } = await json("GET", path, { token });
  const item = (body.items as { id: string; subject: string }[]).find((one) => one.subject === subject);
  if (!item) throw new Error(`${path} does not show the message`);
  return item.id;
}

async function inFolder(folder: string, token: string, subject: string): Promise<number> {
  const { body } = await json("GET", `/api/mail/messages?folder=${folder}`, { token });
  return (body.items as { subject: string }[]).filter((one) => one.subject === subject).length;
}

async function take(scene: Scene, attempt: Attempt, act: "moves" | "deletes", repeats: boolean): Promise<string> {
  const { octets, subject, to, token } = await sent(scene);
  const id = await idOf("/api/mail/messages?folder=inbox", token, subject);
  const does = (): Promise<Answer> =>
    act === "moves"
      ? json("PATCH", `/api/mail/messages/${id}`, { token, body: { folder: "junk" } })
      : json("DELETE", `/api/mail/messages/${id}`, { token });
  const heard: number[] = [];
  await attempt.run(async () => heard.push((await does()).status));
  if (repeats && (heard[0] ?? 0) >= 500) heard.push((await does()).status);
  const folder = act === "moves" ? "junk" : "trash";
  const taken = (await inFolder(folder, token, subject)) === 1;
  // 404: the first time had moved it, and its number is another one now.
  const done = heard.some((status) => status === 200 || status === 204 || status === 404);
  expect(taken || !done, "what was answered is done, is done").toBe(true);
  if (repeats) expect(taken, "done in the end").toBe(true);

  await scene.repair();
  await scene.rest();
  expect(await scene.atOrigin(octets, [to]), "what a person took is not delivered, what not is, once").toEqual([
    taken ? 0 : 1,
  ]);
  expect(await inFolder("inbox", token, subject)).toBe(0);
  expect(await inFolder(folder, token, subject)).toBe(taken ? 1 : 0);
  expect((await scene.kept(subject)).inArchive.ann).toBe(1);
  return `${heard.join(", then ")}; ${taken ? `in ${folder}, not delivered` : "waits on, given back"}`;
}

async function again(scene: Scene, attempt: Attempt): Promise<string> {
  const { octets, subject, to, token } = await sent(scene);
  const before = (await scene.atOrigin(octets, [to]))[0] ?? 0;
  const inInbox = await inFolder("inbox", token, subject);
  const id = await idOf("/api/archive", token, subject);
  const asks = async (): Promise<string> => {
    const { status, body } = await json("POST", `/api/archive/${id}/redeliver`, { token });
    return status === 200 ? String(body.outcome) : String(status);
  };
  const came: string[] = [];
  await attempt.run(async () => came.push(await asks()));
  const failed = came[0] !== "delivered" && came[0] !== "portal";
  // Whether or not it took effect is not known to who asked.
  const silently =
    (await scene.atOrigin(octets, [to]))[0] !== before || (await inFolder("inbox", token, subject)) !== inInbox;
  if (failed) came.push(await asks());
  expect(["delivered", "portal"], "done in the end").toContain(came.at(-1));
  // A person's wish is never taken for a repeat: who asks twice has it twice (design, rule 5).
  const copies = failed && silently ? 2 : 1;
  const portal = came.at(-1) === "portal";
  expect(await scene.atOrigin(octets, [to])).toEqual([before + (portal ? 0 : copies)]);
  expect(await inFolder("inbox", token, subject)).toBe(inInbox + (portal ? copies : 0));

  await scene.repair();
  await scene.rest();
  expect((await scene.kept(subject)).inArchive.ann, "no further row in the archive").toBe(1);
  expect(await scene.atOrigin(octets, [to]), "no part of the backlog").toEqual([portal ? 1 : before + copies]);
  return `${came.join(", then ")}; ${copies === 2 ? "twice" : "once"}`;
}
