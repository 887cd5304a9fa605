/**
 * The one place from which those who change mailboxes say so (the mail's way has `Reports` for it, the domain's object its `News`).
 * The change stands: nobody waits for this, and what gets lost costs a watcher nothing but time, as each catches up when it
 * comes again.
 */
import { waitUntil } from "cloudflare:workers";
import { askDomain } from "../domain/ask.ts";
import type { AccountChange, Report } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import type { Written } from "../store/states.ts";

/**
 * Writes, and tells those who watch which state that gave. Where nothing was changed they hear the state as it is: this may be the
 * repeat of a write whose caller died before it told.
 * @param domain the name of the accounts' domain
 * @param accounts that may be changed
 * @throws what the write throws; then it may be done all the same, and they are told to look
 */
export async function telling<T>(
  env: Env,
  domain: string,
  accounts: readonly number[],
  write: () => Promise<Written<T>>,
): Promise<T> {
  let written: Written<T>;
  try {
    written = await write();
  } catch (error) {
    tellChanged(
      env,
      domain,
      accounts.map((account) => ({ account, pending: true })),
    );
    throw error;
  }
  const { value, states } = written;
  const others = accounts.filter((account) => states.every((state) => state.account !== account));
  tellChanged(env, domain, [...states, ...others.map((account) => ({ account }))]);
  return value;
}

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
    await askDomain(env, domain, (object) => object.report([report]));
  } catch (error) {
    console.error("those who watch a domain were not told", domain, report.kind, String(error));
  }
}
