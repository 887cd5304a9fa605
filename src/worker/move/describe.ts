/** A move in the words of the log. */

import type { Env } from "../env.ts";
import { directory } from "../store/directory.ts";
import { findMailboxById } from "../store/mailboxes.ts";
import type { Move } from "./contract.ts";

export async function describeMove(env: Env, move: Move): Promise<Record<string, unknown>> {
  const { source, target, progress, startedAt, switchedAt, endedAt, problem } = move;
  const box = await findMailboxById(directory(env), move.mailbox);
  return {
    mailbox: box?.address ?? String(move.mailbox),
    from: source,
    to: target,
    messages: progress.copied,
    changes: progress.changes,
    ...(switchedAt !== null && { milliseconds: switchedAt - startedAt }),
    ...(endedAt !== null && { cleared: progress.cleared }),
    ...(problem !== null && { problem }),
  };
}
