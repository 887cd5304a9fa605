/** A message handed to the Worker as a gateway does it: its real receive, with octets that no SMTP port has looked at. */
import { GATEWAY_FRAME_BYTES } from "../../core/limits.ts";
import type { Reply } from "../../core/outcome.ts";
import { WorkerTransaction } from "../../gateway/transaction.ts";
import type { WorkerLink } from "../../gateway/worker-link.ts";

const CLIENT = { ip: "192.0.2.25", helo: "mail.sender.example", protocol: "ESMTP" };

/** @returns the first refusal, or the reply to the message. @throws WorkerUnavailableError */
export async function handOver(
  link: WorkerLink,
  { from, to }: { readonly from: string; readonly to: string },
  octets: Buffer,
): Promise<Reply> {
  const size = octets.length;
  const mail = { from, body: "8BITMIME", smtputf8: false, ...(size > 0 && { size }) } as const;
  const transaction = await WorkerTransaction.open(link, CLIENT, mail);
  try {
    const recipient = await transaction.recipient(to);
    if (recipient.code >= 300) return recipient;
    const frames: Buffer[] = [];
    for (let at = 0; at < size; at += GATEWAY_FRAME_BYTES) frames.push(octets.subarray(at, at + GATEWAY_FRAME_BYTES));
    return await transaction.message(size, frames);
  } finally {
    transaction.abort();
  }
}
