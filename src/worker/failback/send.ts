/** One message over one connection: the stored octets, under the trace headers that stored facts give. */
import { FINAL_TIMEOUT_BACKGROUND } from "../../core/limits.ts";
import { traceHeaders } from "../../core/mime/trace.ts";
import type { Outcome } from "../../core/outcome.ts";
import { isWriter, type MessageWriter, type OriginSession } from "../deliver/session.ts";
import type { Source } from "./octets.ts";
import type { Flight } from "./ports.ts";

/** Our own storage gave way in the middle: nothing was delivered, and it says nothing about the origin. */
export interface Broken {
  readonly kind: "broken";
  readonly error: unknown;
}

export interface Sent {
  readonly outcome: Outcome | Broken;
  /** A bare CR or LF was among the octets (design, rule 3). */
  readonly lineEndsChanged: boolean;
}

/** @param source is left open */
export async function send(session: OriginSession, { meta }: Flight, source: Source): Promise<Sent> {
  const { from, to, body, smtputf8 } = meta.envelope;
  const trace = traceHeaders({ ...meta.receipt, to: [to] });
  const writer = await session.begin({ from, size: trace.length + source.size, body, smtputf8 }, to);
  if (!isWriter(writer)) return { outcome: writer, lineEndsChanged: false };
  const outcome = await write(writer, trace, source);
  return { outcome, lineEndsChanged: writer.lineEndsChanged };
}

async function write(writer: MessageWriter, trace: Uint8Array, source: Source): Promise<Outcome | Broken> {
  let early = await writer.write(trace);
  while (!early) {
    let chunk: Uint8Array | null;
    try {
      chunk = await source.next();
    } catch (error) {
      writer.abort();
      return { kind: "broken", error };
    }
    if (!chunk) return writer.finish(FINAL_TIMEOUT_BACKGROUND);
    early = await writer.write(chunk);
  }
  return early;
}
