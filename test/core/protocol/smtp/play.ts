/** Plays a script to its end. */
import { expect } from "vitest";
import type { Outcome } from "../../../../src/core/outcome.ts";
import { isOpen, type OriginSession } from "../../../../src/core/protocol/smtp/conversation.ts";
import { type OpenOptions, openSession } from "../../../../src/core/protocol/smtp/open.ts";
import { ManualTiming, ScriptedWire } from "./script.ts";

export interface Played {
  readonly outcomes: readonly Outcome[];
  readonly usable: boolean;
}

/** Plays a script to its end; it fails where the client says anything else, or leaves a step of it. */
export async function play(
  script: string,
  options: Partial<OpenOptions> = {},
  use: (session: OriginSession) => Promise<readonly Outcome[]> = async () => [],
): Promise<Played> {
  const wire = new ScriptedWire(script);
  const timing = new ManualTiming();
  const opened = await openSession(wire, { helo: "mx.test", tls: "none", timing, ...options });
  const outcomes = isOpen(opened) ? await use(opened.session) : [opened];
  expect(wire.complaints).toEqual([]);
  expect(wire.left).toEqual([]);
  expect(timing.pending).toBe(0);
  const usable = isOpen(opened) && opened.session.usable;
  // A connection that cannot be used any more is closed, one that can is not.
  expect(wire.closed).toBe(!usable);
  return { outcomes, usable };
}

/** The steps of several texts, in order. */
export const script = (...parts: string[]) => parts.join("\n");

export const HELLO = "S: 220 hi\nC: EHLO mx.test\nS: 250 x";
export const PIPELINING = "S: 220 hi\nC: EHLO mx.test\nS: 250-x|250 PIPELINING";
