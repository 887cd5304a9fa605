/** One message over one connection: the stored octets, under the trace headers that stored facts give. */
import { FINAL_TIMEOUT_BACKGROUND } from "../../core/limits.ts";
import { traceHeaders } from "../../core/mime/trace.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { Upcoming } from "../../core/protocol/smtp/conversation.ts";
import { isWriter, type MessageWriter, type OriginSession } from "../deliver/session.ts";
import type { Assignment } from "./exchange.ts";
import type { Source } from "./octets.ts";

/** Our own storage gave way in the middle: nothing was delivered, and it says nothing about the origin. */
export interface Broken {
  readonly kind: "broken";
  readonly error: unknown;
}

/** It was left before its final dot: nothing was delivered. */
export interface Left {
  readonly kind: "left";
}

export interface Sent {
  readonly outcome: Outcome | Broken | Left;
  /** A bare CR or LF was among the octets (design, rule 3). */
  readonly lineEndsChanged: boolean;
}

/** A message with its octets at hand. */
export interface Loaded {
  readonly assignment: Assignment;
  readonly source: Source;
  readonly trace: Uint8Array;
}

/**
 * Asked when everything but the final dot is sent. @returns whether to send it, and what to announce behind it
 * @throws where it is not to be sent
 */
export type BeforeDot = () => Promise<{ readonly go: boolean; readonly next: Loaded | null }>;

export function loaded(assignment: Assignment, source: Source): Loaded {
  const { receipt, envelope } = assignment.meta;
  return { assignment, source, trace: traceHeaders({ ...receipt, to: [envelope.to] }) };
}

/** @param message its source is left open @throws what `beforeDot` throws, with the message left */
export async function send(session: OriginSession, message: Loaded, beforeDot: BeforeDot): Promise<Sent> {
  const { parameters, to } = upcoming(message);
  const writer = await session.begin(parameters, to);
  if (!isWriter(writer)) return { outcome: writer, lineEndsChanged: false };
  const outcome = await write(writer, message, beforeDot);
  return { outcome, lineEndsChanged: writer.lineEndsChanged };
}

async function write(
  writer: MessageWriter,
  { trace, source }: Loaded,
  beforeDot: BeforeDot,
): Promise<Outcome | Broken | Left> {
  // The trace headers go out in one piece with what follows them: most messages are small.
  let head: Uint8Array = trace;
  for (;;) {
    let chunk: Uint8Array | null;
    try {
      chunk = await source.next();
    } catch (error) {
      writer.abort();
      return { kind: "broken", error };
    }
    const octets = joined(head, chunk);
    head = NOTHING;
    if (octets.length > 0) {
      const early = await writer.write(octets);
      if (early) return early;
    }
    if (!chunk) return finish(writer, beforeDot);
  }
}

async function finish(writer: MessageWriter, beforeDot: BeforeDot): Promise<Outcome | Left> {
  try {
    const { go, next } = await beforeDot();
    if (go) return await writer.finish(FINAL_TIMEOUT_BACKGROUND, next ? upcoming(next) : undefined);
  } catch (error) {
    writer.abort();
    throw error;
  }
  writer.abort();
  return { kind: "left" };
}

/** What the server hears of it first. */
function upcoming({ assignment, source, trace }: Loaded): Upcoming {
  const { from, to, body, smtputf8 } = assignment.meta.envelope;
  return { parameters: { from, size: trace.length + source.size, body, smtputf8 }, to };
}

const NOTHING = new Uint8Array(0);

function joined(head: Uint8Array, rest: Uint8Array | null): Uint8Array {
  if (head.length === 0) return rest ?? head;
  if (rest === null) return head;
  const whole = new Uint8Array(head.length + rest.length);
  whole.set(head);
  whole.set(rest, head.length);
  return whole;
}
