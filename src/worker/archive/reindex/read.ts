/** What an object's octets say, exactly as at arrival: what is indexed, and what makes it the same message again. */
import { STORE_TIMEOUT } from "../../../core/limits.ts";
import { messageIdOf } from "../../../core/mime/header.ts";
import { openContent } from "../../receive/content.ts";
import { within } from "../../store/deadline.ts";
import { extract } from "../extract.ts";
import type { Extracted } from "../meta.ts";
import { getRaw } from "../raw.ts";

export interface ReadMessage {
  /** Octets. */
  readonly size: number;
  readonly extracted: Extracted;
  /** Null where it has none. */
  readonly messageId: string | null;
  /** SHA-256 of the octets below the trace block (core/once.ts). */
  readonly digest: Uint8Array;
}

/** @returns null where there is no such object. @throws where R2 does not give it */
export async function readMessage(bucket: R2Bucket, key: string): Promise<ReadMessage | null> {
  const raw = await within(getRaw(bucket, key), STORE_TIMEOUT, "R2 get");
  return raw && within(read(raw), STORE_TIMEOUT, "reading a message");
}

async function read({ body, size }: R2ObjectBody): Promise<ReadMessage> {
  const content = await openContent({ size, chunks: body });
  const extracted = await extract(content.whole ?? content.chunks, size);
  return { size, extracted, messageId: messageIdOf(content.header), digest: content.digest() };
}
