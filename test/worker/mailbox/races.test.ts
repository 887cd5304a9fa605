/** People and failback at the same mailbox at once: each message goes one way. */
import { env, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { currentState } from "../../../src/worker/mailbox/changes.ts";
import type { Mailbox } from "../../../src/worker/mailbox/contract.ts";
import { copyMessages, markMessages, moveMessages, removeMessages } from "../../../src/worker/mailbox/messages.ts";
import { readFolder } from "../../../src/worker/mailbox/reading.ts";
import { DELETED } from "../../../src/worker/store/flags.ts";
import { NOON, TestDomain } from "../domain/fixture.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { folderOf } from "../store/stored.ts";

interface Scene {
  readonly origin: Origin;
  readonly domain: TestDomain;
  readonly ada: number;
  readonly bob: number;
}

async function open(): Promise<Scene> {
  const origin = await createOrigin({});
  const domain = await TestDomain.create({ port: origin.port, switching: "manual" });
  const ada = await domain.mailbox("ada", { aliases: ["info"] });
  const bob = await domain.mailbox("bob", { aliases: ["info"] });
  await domain.start();
  await domain.run(0);
  await domain.rpc.choose("emergency", "admin@example.org");
  return { origin, domain, ada, bob };
}

const mailboxOf = (domain: TestDomain, account: number, local: string): Mailbox => ({
  env: env as Env,
  account,
  db: env.SHARD_0,
  name: `${local}@${domain.name}`,
  domain: domain.name,
});

/** Until nothing waits that is not marked. */
async function rest({ domain }: Scene): Promise<void> {
  for (let round = 0; round < 20; round++) {
    domain.wait(61);
    await domain.rpc.wake(domain.name);
    await domain.run(0);
    const left = await env.SHARD_0.prepare(
      `SELECT count(*) AS n FROM placement WHERE waiting BETWEEN ?1 * 4294967296 AND (?1 + 1) * 4294967296
         AND gone IS NULL AND flags & ${DELETED} = 0`,
    )
      .bind(domain.id)
      .first<number>("n");
    if (left === 0) return;
  }
  throw new Error("something waits for ever");
}

const bodies = async ({ origin }: Scene) =>
  (await origin.messages())
    .filter(({ accepted }) => accepted)
    .map(({ raw }) => new TextDecoder().decode(raw).split("\r\n\r\n")[1]?.trim() ?? "");

const inFolder = async (mailbox: Mailbox, role: "inbox" | "junk") =>
  readFolder(
    mailbox,
    { id: await folderOf(mailbox.account, role), role },
    { order: "oldest", deleted: true, limit: 1_000 },
  );

describe("while failback runs", { timeout: 300_000 }, () => {
  it("each message that a person moves, marks \\Deleted or removes either is theirs or the origin's, never both, never neither", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("move", "mark", "remove", "nothing"), { minLength: 12, maxLength: 24 }),
        fc.integer({ min: 0, max: 40 }),
        async (acts, pause) => {
          const scene = await open();
          const { domain, ada } = scene;
          const box = mailboxOf(domain, ada, "ada");
          const ids: number[] = [];
          for (const n of acts.keys()) {
            const { placements } = await domain.waiting({
              accounts: [ada],
              body: `m${n}`,
              at: NOON - (100 - n) * 1000,
            });
            ids.push(placements[0] ?? 0);
          }
          const junk = await folderOf(ada, "junk");
          await domain.rpc.choose("normal", "admin@example.org");
          const theirs = new Set<number>();
          // From the newest on: failback comes from the other end.
          const people = async () => {
            for (const [n, act] of [...acts.entries()].reverse()) {
              const id = ids[n] ?? 0;
              if (await take(box, act, id, junk)) theirs.add(n);
              await new Promise((resolve) => setTimeout(resolve, pause));
            }
          };
          await Promise.all([domain.run(0), people()]);
          await rest(scene);
          const expected = acts.flatMap((_, n) => (theirs.has(n) ? [] : [`m${n}`]));
          expect((await bodies(scene)).sort()).toEqual(expected.sort());
          const moved = acts.filter((act, n) => act === "move" && theirs.has(n)).length;
          expect(await inFolder(box, "junk")).toHaveLength(moved);
          const marked = acts.filter((act, n) => act === "mark" && theirs.has(n)).length;
          expect(await inFolder(box, "inbox")).toHaveLength(marked);
          await scene.origin.close();
        },
      ),
      { numRuns: 6, endOnFailure: true },
    );
  });

  it("an alias of two: what one takes the other still has, and the origin has it once", async () => {
    const scene = await open();
    const { domain, ada, bob } = scene;
    const box = mailboxOf(domain, ada, "ada");
    const ids: number[] = [];
    for (let n = 0; n < 12; n++) {
      const one = await domain.waiting({ accounts: [ada, bob], to: `info@${domain.name}`, body: `m${n}` });
      ids.push(one.placements[0] ?? 0);
    }
    await domain.rpc.choose("normal", "admin@example.org");
    const junk = await folderOf(ada, "junk");
    const people = async () => {
      for (const id of ids.toReversed()) await moveMessages(box, [id], junk);
    };
    await Promise.all([domain.run(0), people()]);
    await rest(scene);
    expect((await bodies(scene)).sort()).toEqual(Array.from({ length: 12 }, (_, n) => `m${n}`).sort());
    expect(await inFolder(mailboxOf(domain, bob, "bob"), "inbox")).toEqual([]);
    expect(await inFolder(box, "inbox")).toEqual([]);
  });
});

describe("a message that is being sent", () => {
  it("is moved, removed and marked \\Deleted by nobody; copied it may be, and read, and flagged", async () => {
    const { domain, ada } = await open();
    const box = mailboxOf(domain, ada, "ada");
    const { placements, key } = await domain.waiting({ accounts: [ada] });
    const flight = flightKey(key, `ada@${domain.name}`);
    await runInDurableObject(domain.object, (_object, state) => {
      state.storage.sql.exec("INSERT INTO flight (key, state, slot, at) VALUES (?, 'sending', 1, ?)", flight, NOON);
    });
    const [id = 0] = placements;
    const junk = await folderOf(ada, "junk");
    const before = await currentState(box);
    expect(await moveMessages(box, [id], junk)).toMatchObject({
      ok: true,
      value: { busy: [id], moved: [], missing: [] },
    });
    expect(await removeMessages(box, [id], { marked: false })).toMatchObject({
      ok: true,
      value: { busy: [id], removed: [] },
    });
    expect(await markMessages(box, [id], { add: DELETED, remove: 0 })).toMatchObject({
      ok: true,
      value: { rows: [{ id, became: "busy" }], cancelled: [] },
    });
    expect(await currentState(box)).toBe(before);
    expect(await copyMessages(box, [id], junk, null)).toMatchObject({ ok: true, value: { copied: [{ id }] } });
    expect(await markMessages(box, [id], { add: 1, remove: 0 })).toMatchObject({
      value: { rows: [{ became: "changed" }] },
    });
  });

  it("leaves the others of a batch free: they are moved", async () => {
    const { domain, ada } = await open();
    const box = mailboxOf(domain, ada, "ada");
    const flying = await domain.waiting({ accounts: [ada] });
    const free = await domain.waiting({ accounts: [ada] });
    await runInDurableObject(domain.object, (_object, state) => {
      const flight = flightKey(flying.key, `ada@${domain.name}`);
      state.storage.sql.exec("INSERT INTO flight (key, state, slot, at) VALUES (?, 'sending', 1, ?)", flight, NOON);
    });
    const ids = [...flying.placements, ...free.placements];
    const moved = await moveMessages(box, ids, await folderOf(ada, "junk"));
    expect(moved).toMatchObject({ ok: true, value: { busy: flying.placements, cancelled: free.placements } });
  });
});

async function take(box: Mailbox, act: string, id: number, junk: number): Promise<boolean> {
  switch (act) {
    case "move": {
      const moved = await moveMessages(box, [id], junk);
      return moved.ok && moved.value.moved.length === 1;
    }
    case "mark": {
      const marked = await markMessages(box, [id], { add: DELETED, remove: 0 });
      return marked.ok && marked.value.rows.some(({ became }) => became === "changed");
    }
    case "remove": {
      const removed = await removeMessages(box, [id], { marked: false });
      // What failback took is gone already: only what was cancelled was taken.
      return removed.ok && removed.value.cancelled.length === 1;
    }
    default:
      return false;
  }
}
