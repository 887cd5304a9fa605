/** The octets of a stored message as they are read, each piece within its time. */
import { STORE_TIMEOUT } from "../../core/limits.ts";
import { within } from "../store/deadline.ts";
import { getRaw } from "./raw.ts";

/** The index has the message, R2 has not: a person hears that it is gone. */
export class MissingOctetsError extends Error {
  override readonly name = "MissingOctetsError";
  constructor(key: string) {
    super(`the octets of ${key} are not in the store`);
  }
}

/**
 * @param range absent: all of them
 * @throws MissingOctetsError; DeadlineError where R2 does not answer
 */
export async function* octetsOf(
  bucket: R2Bucket,
  key: string,
  range?: { readonly offset: number; readonly length: number },
): AsyncGenerator<Uint8Array> {
  const raw = await within(getRaw(bucket, key, range), STORE_TIMEOUT, "R2 get");
  if (!raw) throw new MissingOctetsError(key);
  const reader = raw.body.getReader();
  try {
    for (;;) {
      const piece = await within(reader.read(), STORE_TIMEOUT, "R2 read");
      if (piece.done) return;
      yield piece.value;
    }
  } finally {
    // Rejects only where reading has failed before, which whoever reads has heard.
    reader.cancel().catch(() => "heard by the read");
  }
}

/** Octets that are all here, as they go by. */
export async function* once(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield octets;
}
