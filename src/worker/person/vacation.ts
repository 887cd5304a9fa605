/** The vacation notice of a mailbox (RFC 8621 §8): what its owner has set. When it is sent is for send/answer.ts. */
import { err, ok, type Result } from "../../core/result.ts";
import type { Env } from "../env.ts";
import type { User } from "../identity/principal.ts";
import { onArrivalOf, saveVacation, type Vacation } from "../store/on-arrival.ts";
import { shardDb } from "../store/shard.ts";

type Whose = Pick<User, "mailbox" | "shard">;

export async function vacationOf(env: Env, { mailbox, shard }: Whose): Promise<Vacation> {
  return (await onArrivalOf(shardDb(env, shard), mailbox)).vacation;
}

/** Once the words are others, whoever has heard the former hears these too. */
export async function setVacation(
  env: Env,
  { mailbox, shard }: Whose,
  vacation: Vacation,
): Promise<Result<Vacation, { readonly field: string; readonly message: string }>> {
  const { isEnabled, fromDate, toDate, subject, textBody, htmlBody } = vacation;
  if (isEnabled && !textBody?.trim() && !htmlBody?.trim()) {
    return err({ field: "textBody", message: "is missing: a notice says something, as text or as HTML" });
  }
  if (fromDate !== null && toDate !== null && toDate <= fromDate) {
    return err({ field: "toDate", message: "must be after fromDate" });
  }
  if (subject !== null && /\p{Cc}/u.test(subject)) return err({ field: "subject", message: "must be one line" });
  await saveVacation(shardDb(env, shard), mailbox, vacation);
  return ok(vacation);
}
