/** Watchers of a domain's object, closed after each test. */
import { env } from "cloudflare:test";
import { afterEach, expect, vi } from "vitest";
import { WATCH_SETTLE } from "../../../src/core/protocol/push/limits.ts";
import type { AccountChange, Report } from "../../../src/worker/domain/contract.ts";
import { TestWatcher } from "../push/watcher.ts";
import { TestDomain } from "./fixture.ts";

export const open: TestWatcher[] = [];

afterEach(() => {
  vi.restoreAllMocks();
  for (const watcher of open.splice(0)) if (!watcher.closed) watcher.close();
});

export const ask = (domain: TestDomain, path: string) =>
  domain.object.fetch(`https://domain.invalid/${path}`, { headers: { upgrade: "websocket" } });

export async function watch(domain: TestDomain, path: string): Promise<TestWatcher> {
  const watcher = new TestWatcher(await ask(domain, path));
  open.push(watcher);
  expect((await watcher.take(1))[0]).toEqual({ op: "hello" });
  return watcher;
}

/** One that knows the state its mailbox is in, so that it hears only what comes. */
export const settled = (domain: TestDomain, account: number) => watch(domain, `account/${account}?since=0`);

export const report = (domain: TestDomain, ...reports: Report[]) => domain.rpc.report(reports);
export const changed = (domain: TestDomain, ...changes: AccountChange[]) =>
  report(domain, { kind: "changed", changes });
export const step = (account: number) =>
  env.SHARD_0.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1").bind(account).run();

/** Waits for everything that is under way to the watchers. */
export const quiet = () => new Promise((resolve) => setTimeout(resolve, 50));

/** No mail was planned of late that would make the object look at a new watcher's mailbox once more. */
export const LONG_AGO = { pause: () => Promise.resolve(), stamp: () => Date.now() + WATCH_SETTLE + 1000 };

export async function domainWith(...locals: string[]): Promise<{ domain: TestDomain; accounts: number[] }> {
  const domain = await TestDomain.create();
  const accounts: number[] = [];
  for (const local of locals) accounts.push(await domain.mailbox(local));
  await domain.start(LONG_AGO);
  return { domain, accounts };
}
