/**
 * The one place from which those who change mailboxes say so (the mail's way has `Reports` for it, failback its domain's object).
 * The change stands: nobody waits for this, and what gets lost costs a watcher nothing but time, as each catches up when it
 * comes again.
 */
import { waitUntil } from "cloudflare:workers";
import { TELL_TIMEOUT } from "../../core/limits.ts";
import type { AccountChange, DomainRpc, Report } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";

/** Goes on behind the caller's answer. Never throws. @param domain the name of the mailboxes' domain */
export function tellChanged(env: Env, domain: string, changes: readonly AccountChange[]): void {
  if (changes.length > 0) tell(env, domain, { kind: "changed", changes });
}

/** Whoever came in by the old login of this mailbox has to come again. Never throws. */
export function tellLoginChanged(env: Env, domain: string, account: number): void {
  tell(env, domain, { kind: "login_changed", accounts: [account] });
}

function tell(env: Env, domain: string, report: Report): void {
  waitUntil(send(env, domain, report));
}

async function send(env: Env, domain: string, report: Report): Promise<void> {
  try {
    const object = env.DOMAIN.getByName(domain) as unknown as DomainRpc;
    await within(object.report([report]), TELL_TIMEOUT, "telling the watchers of a domain");
  } catch (error) {
    console.error("those who watch a domain were not told", domain, report.kind, String(error));
  }
}
