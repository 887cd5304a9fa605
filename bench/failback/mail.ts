/** The mail of the comparisons: real messages, each to one of a company's mailboxes, or from one to a stranger. */
import { loadCorpus } from "../../src/local/demo/corpus.ts";
import type { Job } from "../../src/local/demo/sender.ts";

export const DOMAIN = "example.org";
/** People of the company. */
export const MAILBOXES = Array.from({ length: 20 }, (_, index) => `user${index}@${DOMAIN}`);

export function loadMail(messages: number): Job[] {
  return loadCorpus(messages).map((message, index) => ({
    ...message,
    from: `sender${index}@example.net`,
    to: MAILBOXES[index % MAILBOXES.length] ?? `postmaster@${DOMAIN}`,
  }));
}

/** Where the company's people write to. */
export const ELSEWHERE = "example.net";

export function loadOutgoing(messages: number): Job[] {
  return loadMail(messages).map((job) => ({ ...job, from: job.to, to: job.from }));
}
