/**
 * An isolate has 128 MB, shared by all its invocations at once: message octets held in it are counted, and what would be
 * too much is a temporary failure, not a crash.
 */
import { MAX_BUFFERED_BYTES, MAX_ISOLATE_BYTES } from "../../core/limits.ts";

let held = 0;

/**
 * Room for a message of `size` octets: all of a small one, the moving window and the indexed part of a large one.
 * @returns what gives the room back (idempotent), or null where there is none
 */
export function admit(size: number): (() => void) | null {
  const room = size <= MAX_BUFFERED_BYTES ? 2 * size : 4 * MAX_BUFFERED_BYTES;
  if (held + room > MAX_ISOLATE_BYTES) return null;
  held += room;
  let given = false;
  return () => {
    if (!given) held -= room;
    given = true;
  };
}
