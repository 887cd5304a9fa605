/** The part of a transaction that goes to R2: small messages in one piece, large ones as they come. Never throws. */
import { MAX_BUFFERED_BYTES, STORE_TIMEOUT } from "../../core/limits.ts";
import { deleteRaw, openRawWriter, putRaw, type RawMetadata, type RawWriter } from "../archive/raw.ts";
import { within } from "../store/deadline.ts";

export interface StoreLeg {
  /** Once it failed, chunks are dropped and `finish` says why. */
  write(chunk: Uint8Array): Promise<void>;
  /** @returns null when the octets are in R2, else the error */
  finish(): Promise<unknown>;
  abort(): void;
}

/** @param key null where the row of the table keeps no copy: then chunks are dropped and `finish` has no error */
export function openStoreLeg(bucket: R2Bucket, key: string | null, size: number, metadata: RawMetadata): StoreLeg {
  if (key === null) return { async write() {}, finish: async () => null, abort() {} };
  return size <= MAX_BUFFERED_BYTES ? buffered(bucket, key, metadata) : streamed(bucket, key, size, metadata);
}

function buffered(bucket: R2Bucket, key: string, metadata: RawMetadata): StoreLeg {
  let whole: Uint8Array | null = null;
  return {
    async write(chunk) {
      whole = chunk;
    },
    async finish() {
      if (!whole) return new Error("there is nothing to store");
      return failureOf(within(putRaw(bucket, key, whole, metadata), STORE_TIMEOUT, "R2 put"));
    },
    abort() {
      whole = null;
    },
  };
}

function streamed(bucket: R2Bucket, key: string, size: number, metadata: RawMetadata): StoreLeg {
  let failure: unknown = null;
  let writer: RawWriter | null = null;
  try {
    writer = openRawWriter(bucket, key, size, metadata);
  } catch (error) {
    failure = error;
  }
  return {
    async write(chunk) {
      if (failure || !writer) return;
      failure = await failureOf(within(writer.write(chunk), STORE_TIMEOUT, "R2 put"));
      if (failure) writer.abort();
    },
    async finish() {
      if (failure || !writer) return failure;
      return failureOf(within(writer.finish(), STORE_TIMEOUT, "R2 put"));
    },
    abort() {
      writer?.abort();
    },
  };
}

/**
 * The octets of a message that was refused, or had been taken before, go again. A failure leaves them to the lifecycle rule.
 * @returns whether they are known to be gone
 */
export async function discard(bucket: R2Bucket, key: string): Promise<boolean> {
  const failure = await failureOf(within(deleteRaw(bucket, key), STORE_TIMEOUT, "R2 delete"));
  if (failure) console.warn("an unused object stays until the lifecycle rule takes it", key, String(failure));
  return failure === null;
}

async function failureOf(step: Promise<unknown>): Promise<unknown> {
  try {
    await step;
    return null;
  } catch (error) {
    return error ?? new Error("failed without a reason");
  }
}
