/** One message over one connection: the stored octets, under the trace headers that stored facts give. */
import { FINAL_TIMEOUT_BACKGROUND, STORE_TIMEOUT } from "../../core/limits.ts";
import { traceHeaders } from "../../core/mime/trace.ts";
import type { Outcome } from "../../core/outcome.ts";
import { isWriter, type MessageWriter, type OriginSession } from "../deliver/session.ts";
import { within } from "../store/deadline.ts";
import type { Flight, RawMessage } from "./ports.ts";

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

export async function send(session: OriginSession, { meta }: Flight, raw: RawMessage): Promise<Sent> {
  const { from, to, body, smtputf8 } = meta.envelope;
  const trace = traceHeaders({ ...meta.receipt, to: [to] });
  const writer = await session.begin({ from, size: trace.length + raw.size, body, smtputf8 }, to);
  if (!isWriter(writer)) {
    await raw.body.cancel();
    return { outcome: writer, lineEndsChanged: false };
  }
  const outcome = await write(writer, trace, raw.body);
  return { outcome, lineEndsChanged: writer.lineEndsChanged };
}

async function write(
  writer: MessageWriter,
  trace: Uint8Array,
  body: ReadableStream<Uint8Array>,
): Promise<Outcome | Broken> {
  const reader = body.getReader();
  let early = await writer.write(trace);
  while (!early) {
    let chunk: ReadableStreamReadResult<Uint8Array>;
    try {
      chunk = await within(reader.read(), STORE_TIMEOUT, "R2 read");
    } catch (error) {
      writer.abort();
      return { kind: "broken", error };
    }
    if (chunk.done) return writer.finish(FINAL_TIMEOUT_BACKGROUND);
    early = await writer.write(chunk.value);
  }
  await reader.cancel();
  return early;
}
