/** The WebSocket of a gateway's transaction breaks, or falls silent, at each of its frames; the sender then hears 451 from the gateway. */
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { expect } from "vitest";
import { GATEWAY_FRAME_BYTES } from "../../../src/core/limits.ts";
import type { GatewayFrame } from "../../../src/core/protocol/gateway/frames.ts";
import { converse } from "../../../src/worker/access/gateway/conversation.ts";
import type { Env } from "../../../src/worker/env.ts";
import { openTransaction } from "../../../src/worker/receive/transaction.ts";
import { GatewaySocket, nobodySubmits } from "../gateway/socket.ts";
import { letter } from "../receive/organisation.ts";
import { hasten } from "./haste.ts";
import { type Case, table, withScene } from "./matrix.ts";
import type { Scene, SceneOptions } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

const WAYS = ["breaks before it", "breaks after it", "falls silent before it"];
/** Of two frames, and a bit. */
const SMALL = 2 * GATEWAY_FRAME_BYTES + 1_000;
/** Streams. */
const LARGE = 17 * GATEWAY_FRAME_BYTES;
const SOON = 100;
/** Whoever comes again is the same. */
const MAIL: GatewayFrame = {
  op: "mail",
  client: { ip: "192.0.2.7", helo: "mail.example.net", protocol: "ESMTP" },
  mail: { from: "somebody@example.net", body: "8BITMIME", smtputf8: false },
};

/** How far the transaction goes, of so many frames of octets. */
const FRAMES: Readonly<Record<string, (pieces: number) => number>> = {
  MAIL: () => 0,
  RCPT: () => 1,
  DATA: () => 2,
  "the first octets": () => 3,
  "octets in the middle": (pieces) => 3 + Math.floor(pieces / 2),
  "the last octets": (pieces) => 2 + pieces,
};

table("the gateway's WebSocket; covered, the origin accepts", WAYS, everyFrame(SMALL, "ann", {}));
table("the gateway's WebSocket; covered, a large message", WAYS, everyFrame(LARGE, "ann", {}));
table("the gateway's WebSocket; not covered, the origin accepts", WAYS, everyFrame(SMALL, "dan", {}));

function everyFrame(size: number, local: "ann" | "dan", options: SceneOptions): Case[] {
  return Object.keys(FRAMES).flatMap((row) =>
    WAYS.map((column) => ({
      row,
      column,
      play: () => withScene(options, (scene) => play(scene, size, local, { row, way: column })),
    })),
  );
}

interface Break {
  readonly row: string;
  readonly way: string;
}

async function play(scene: Scene, size: number, local: "ann" | "dan", where: Break): Promise<string> {
  const octets = letter(undefined, `${`${"z".repeat(98)}\r\n`.repeat(size / 100)}`);
  const subject = subjectOf(octets);
  const to = scene.address(local);
  const whole = where.row === "the last octets" && where.way === "breaks after it";
  const limits = where.way.startsWith("falls silent") ? hasten(["access/gateway/inbox.ts"], SOON, true) : null;
  await breakOff(octets, to, where);
  limits?.end();
  const [atOnce = 0] = await scene.atOrigin(octets, [to]);
  const kept = (await scene.kept(subject)).inInbox[local] ?? 0;
  expect(atOnce + kept, "taken only where all octets had come").toBe(whole ? 1 : 0);

  const sender = new Sender("the gateway", octets, [to]);
  await sender.try();
  await scene.repair();
  await sender.try();
  await scene.rest();
  expect(sender.last(to)?.code).toBe(250);
  const last = await scene.kept(subject);
  expect(last.inInbox).toEqual({ ann: 0, bob: 0, dan: 0 });
  expect(last.inArchive).toEqual({ ann: local === "ann" ? 1 : 0, bob: 0, dan: 0 });
  // Nothing is kept of who is not covered, so that a repeat cannot be told.
  const twice = whole && local === "dan";
  expect(await scene.atOrigin(octets, [to]), "at the origin once").toEqual([twice ? 2 : 1]);
  return `451, then ${sender.heard()}; ${twice ? "origin twice" : whole ? "taken the first time, once" : "once"}`;
}

/** As a gateway does it, up to that frame. Resolves when the Worker's end is over. */
async function breakOff(octets: Uint8Array<ArrayBuffer>, to: string, { row, way }: Break): Promise<void> {
  const { 0: theirs, 1: ours } = new WebSocketPair();
  ours.binaryType = "arraybuffer";
  ours.accept();
  const ctx = createExecutionContext();
  const over = converse(ours, (client, mail) => openTransaction(env as Env, ctx, client, mail), nobodySubmits);
  const gateway = new GatewaySocket(theirs);
  const commands: GatewayFrame[] = [MAIL, { op: "rcpt", to }, { op: "data", size: octets.length }];
  const frames: (GatewayFrame | Uint8Array)[] = [...commands];
  for (let at = 0; at < octets.length; at += GATEWAY_FRAME_BYTES) {
    frames.push(octets.subarray(at, at + GATEWAY_FRAME_BYTES));
  }
  const last = FRAMES[row]?.(frames.length - commands.length);
  for (const [index, each] of frames.entries()) {
    const breaks = index === last;
    if (breaks && way === "breaks before it") gateway.close();
    if (breaks && way !== "breaks after it") break;
    if (each instanceof Uint8Array) gateway.send(each);
    else gateway.say(each);
    if (breaks) {
      gateway.close();
      break;
    }
    if (index === 1) expect((await gateway.reply())?.code).toBe(250);
    if (each instanceof Uint8Array && index < frames.length - 1) expect(await gateway.next()).toHaveProperty("ack");
  }
  await over;
  await waitOnExecutionContext(ctx);
}
