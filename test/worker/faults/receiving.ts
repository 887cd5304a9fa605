/** What must be true of one received message, whatever failed on its way. */
import { expect } from "vitest";
import { letter } from "../receive/organisation.ts";
import { type Attempt, onStage, type Scenario } from "./matrix.ts";
import type { Kept, Scene, SceneOptions } from "./scene.ts";
import { Sender, subjectOf, type Way } from "./sender.ts";

export interface Receiving extends SceneOptions {
  readonly way: Way;
  /** Local parts. */
  readonly to: readonly string[];
  /** Octets of the body; absent: a line. */
  readonly size?: number;
  /** Whose inbox and archive it comes to. */
  readonly holders: readonly string[];
  /** What the origin, or the table, refuses it with; absent: it is accepted in the end. */
  readonly refusal?: string;
  /** It has been sent and accepted before the attempt. */
  readonly repeat?: boolean;
  /** The call by which the origin takes it. Where its answer is lost no server can know (RFC 5321 §4.2.5): twice, not never. */
  readonly taking?: string;
  /** The way to the origin, ours, is what fails: nothing of it may be held against the origin. */
  readonly ours?: boolean;
  /** How the sender comes the first time, where that takes more than to come. */
  readonly first?: (scene: Scene, sender: Sender, attempt: Attempt) => Promise<void>;
}

export function receiving(options: Receiving): Scenario {
  return onStage(options, (scene, attempt) => play(scene, options, attempt));
}

async function play(scene: Scene, options: Receiving, attempt: Attempt): Promise<string> {
  const { way, to, holders, size, repeat = false, refusal, taking, ours = false, first: come } = options;
  const octets = letter(undefined, size === undefined ? undefined : body(size));
  const subject = subjectOf(octets);
  const recipients = to.map((local) => scene.address(local));
  if (repeat) await new Sender(way, octets, recipients).try();
  const unheard = taking === attempt.call && (attempt.fault === "after" || attempt.fault === "neverAfter");

  // The sender tries twice while the server is as it is, and twice more when it is well again.
  const sender = new Sender(way, octets, recipients, scene.forwarding);
  await attempt.run(() => (come ? come(scene, sender, attempt) : sender.try()));
  const first = await expectSafe(scene, sender, subject, octets, holders);
  if (ours) expect(await scene.isBlamed(), "no evidence against the origin").toBe(false);
  await sender.try();
  const second = sender.tries > 1 ? await expectSafe(scene, sender, subject, octets, holders) : first;
  await scene.repair();
  await sender.try();
  await sender.try();
  const backlog = await scene.rest();
  let events = await scene.events();
  const missing = events.find(({ kind }) => kind === "archive_copy_missing");
  if (missing || sender.tries > 1 || refusal !== undefined) {
    await scene.sweep();
    events = await scene.events();
  }
  const mended = events.some(({ kind }) => kind === "archive_copy_mended");

  const copies = refusal === undefined ? 1 : 0;
  for (const one of recipients) {
    const said = sender.last(one);
    if (refusal === undefined) expect(said?.code, "accepted in the end").toBe(250);
    else expect(`${said?.code} ${said?.enhanced ?? ""} ${said?.text}`, "refused in these words").toContain(refusal);
  }
  // Where the index cannot say that it is a repeat, twice is better than not at all (design, rule 2).
  const twice = unheard || (repeat && !options.origin && attempt.call.includes("reads message"));
  const taken = recipients.map(() => (twice ? 2 : copies));
  expect(await scene.atOrigin(octets, recipients), "at the origin once").toEqual(taken);
  expect(backlog).toEqual({ waiting: 0, refused: 0 });
  const last = await scene.kept(subject);
  expect(last.inInbox, "nothing waits any more").toEqual({ ann: 0, bob: 0, dan: 0 });
  // Only where R2 took nothing is there nothing to mend: an administrator sees the event.
  const gone = missing?.data.missing === "octets" && !mended;
  const archived = Object.fromEntries(holders.map((one) => [one, gone ? 0 : copies]));
  expect(last.inArchive, "in the archive once for each who has it").toEqual({ ann: 0, bob: 0, dan: 0, ...archived });
  await scene.expectShown(subject, holders, last);

  const heard = sender.heard();
  if (refusal !== undefined) return `${heard}; nothing kept`;
  const where = isKept(first) || isKept(second) ? "portal, given back" : "origin";
  const copy = !missing ? "" : mended ? "; copy missing, mended" : gone ? "; no copy, event" : "; event";
  return `${heard}; ${where}${twice ? " twice" : ""}${copy}`;
}

/** Accepted: the origin has it, or every inbox that it came for. What lies in inboxes is counted as waiting. */
async function expectSafe(
  scene: Scene,
  sender: Sender,
  subject: string,
  octets: Uint8Array,
  holders: readonly string[],
): Promise<Kept> {
  const kept = await scene.kept(subject);
  const atOrigin = await scene.atOrigin(octets, sender.recipients);
  const inAll = holders.length > 0 && holders.every((holder) => kept.inInbox[holder] === 1);
  for (const [index, one] of sender.recipients.entries()) {
    const accepted = (sender.last(one)?.code ?? 0) < 300;
    if (accepted) expect((atOrigin[index] ?? 0) > 0 || inAll, `accepted for ${one}, and safe`).toBe(true);
  }
  const shown = Object.values(kept.inInbox).reduce((sum, count) => sum + count, 0);
  if (shown > 0) expect((await scene.backlog()).waiting, "counted as waiting").toBe(shown);
  return kept;
}

const isKept = ({ inInbox }: Kept): boolean => Object.values(inInbox).some((count) => count > 0);

function body(size: number): string {
  const line = `${"x".repeat(70)}\r\n`;
  return line.repeat(Math.ceil(size / line.length));
}
