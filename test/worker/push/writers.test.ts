/// <reference types="vite/types/importMeta.d.ts" />
/** Whoever changes a mailbox tells those who watch it, with a state from which the changes give what was done. */
import { env } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { MAX_CHANGES } from "../../../src/core/limits.ts";
import type { Result } from "../../../src/core/result.ts";
import { makeAccounts } from "../../../src/worker/archive/reindex/mailboxes.ts";
import type { DomainRpc } from "../../../src/worker/domain/contract.ts";
import type { Env } from "../../../src/worker/env.ts";
import * as append from "../../../src/worker/mailbox/append.ts";
import * as changes from "../../../src/worker/mailbox/changes.ts";
import { type Mailbox, mailboxOf } from "../../../src/worker/mailbox/contract.ts";
import * as folders from "../../../src/worker/mailbox/folders.ts";
import * as messages from "../../../src/worker/mailbox/messages.ts";
import * as reading from "../../../src/worker/mailbox/reading.ts";
import * as sync from "../../../src/worker/mailbox/sync.ts";
import { DELETED, FLAGGED } from "../../../src/worker/store/flags.ts";
import { addDomain, addUser } from "../access/client.ts";
import { letter, must, send } from "../receive/organisation.ts";
import { arrive, entryOf, folderOf } from "../store/stored.ts";
import { TestWatcher } from "./watcher.ts";

const DOMAIN = "example.org";
const ANN = "ann@example.org";
const MAILBOX = `/api/domains/${DOMAIN}/mailboxes/${ANN}`;
let mailbox: Mailbox;
let domainId = 0;
let inbox = 0;
let junk = 0;
let watcher: TestWatcher;

beforeAll(async () => {
  await addDomain(DOMAIN);
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
  await addUser(ANN);
  const row = await env.DIRECTORY.prepare("SELECT id, domain FROM mailbox WHERE address = ?1")
    .bind(ANN)
    .first<{ id: number; domain: number }>();
  domainId = row?.domain ?? 0;
  mailbox = mailboxOf(env as Env, { mailbox: row?.id ?? 0, shard: 0, name: ANN });
  inbox = await folderOf(mailbox.account, "inbox");
  junk = await folderOf(mailbox.account, "junk");
  const object = env.DOMAIN.getByName(DOMAIN);
  const headers = { upgrade: "websocket" };
  watcher = new TestWatcher(await object.fetch(`https://domain.invalid/account/${mailbox.account}`, { headers }));
  await watcher.take(2);
});

afterAll(() => watcher.close());

function done<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

interface Did {
  readonly folders?: Partial<Record<keyof changes.ChangeSet<number>, number>>;
  readonly placements?: Partial<Record<keyof changes.ChangeSet<number>, number>>;
}

const sizes = (set: changes.ChangeSet<unknown>) =>
  Object.fromEntries(Object.entries(set).flatMap(([name, all]) => (all.length > 0 ? [[name, all.length]] : [])));

/** What is prepared is not told: the state that the watcher then hears is the act's. */
async function hears(prepare: () => Promise<unknown>, act: (prepared: never) => Promise<unknown>, did: Did) {
  const prepared = await prepare();
  await new Promise((resolve) => setTimeout(resolve, 50));
  watcher.frames.splice(0);
  const before = await changes.currentState(mailbox);
  await act(prepared as never);
  const after = await changes.currentState(mailbox);
  expect(after).toBeGreaterThan(before);
  await vi.waitFor(
    () => expect(watcher.frames.at(-1)).toEqual({ op: "changed", account: mailbox.account, seq: after }),
    { timeout: 20_000 },
  );
  const since = await changes.changesSince(mailbox, changes.stateAt(before), MAX_CHANGES);
  expect(since && changes.formatState(since.newState)).toBe(String(after));
  expect(since && sizes(since.placements)).toEqual(did.placements ?? {});
  // That a folder has other counts follows from what is in it.
  const own = since?.folders.updated.filter((id) => !since.countsOnly.includes(id)) ?? [];
  expect(since && sizes({ ...since.folders, updated: own })).toEqual(did.folders ?? {});
}

const nothing = () => Promise.resolve();
const mail = () => arrive(entryOf(mailbox.account));
const placed = async (folder: number) => {
  const [id = 0] = await mail();
  return done(await messages.moveMessages(mailbox, [id], folder)).moved.map(({ to }) => to);
};
let names = 0;
const folder = async () => {
  names += 1;
  return done(await folders.makeFolder(mailbox, { name: `Folder ${names}`, parent: 0, request: null }, Date.now())).id;
};
const octets = new TextEncoder().encode("Subject: A draft\r\n\r\nNot yet.\r\n");

type Act = readonly [
  what: string,
  prepare: () => Promise<unknown>,
  act: (prepared: never) => Promise<unknown>,
  did: Did,
];

/** By the function of the mailbox service. */
const ACTS: Readonly<Record<string, readonly Act[]>> = {
  appendMessage: [
    [
      "a message that its owner puts into a folder",
      nothing,
      async () =>
        done(
          await append.appendMessage(
            mailbox,
            {
              folder: junk,
              octets: new Blob([octets]).stream(),
              size: octets.length,
              flags: 0,
              keywords: [],
              internalAt: null,
              request: null,
              domainId,
            },
            Date.now(),
          ),
        ),
      { placements: { created: 1 } },
    ],
  ],
  markMessages: [
    [
      "a flag",
      mail,
      (ids: number[]) => messages.markMessages(mailbox, ids, { add: FLAGGED, remove: 0 }),
      { placements: { updated: 1 } },
    ],
    [
      "a keyword",
      mail,
      (ids: number[]) =>
        messages.markMessages(mailbox, ids, { add: 0, remove: 0, keywords: { add: ["later"], remove: [] } }),
      { placements: { updated: 1 } },
    ],
    [
      "the mark of what is to be removed, on what waits for the origin",
      mail,
      (ids: number[]) => messages.markMessages(mailbox, ids, { add: DELETED, remove: 0 }),
      { placements: { updated: 1 } },
    ],
  ],
  moveMessages: [
    [
      "a move",
      mail,
      (ids: number[]) => messages.moveMessages(mailbox, ids, junk),
      { placements: { created: 1, destroyed: 1 } },
    ],
  ],
  copyMessages: [
    [
      "a copy",
      mail,
      (ids: number[]) => messages.copyMessages(mailbox, ids, junk, null),
      { placements: { created: 1 } },
    ],
  ],
  removeMessages: [
    [
      "a removal",
      mail,
      (ids: number[]) => messages.removeMessages(mailbox, ids, { marked: false }),
      { placements: { destroyed: 1 } },
    ],
  ],
  expungeFolder: [
    [
      "EXPUNGE",
      async () => messages.markMessages(mailbox, await placed(junk), { add: DELETED, remove: 0 }),
      () => sync.expungeFolder(mailbox, junk),
      { placements: { destroyed: 1 } },
    ],
  ],
  makeFolder: [["a new folder", nothing, folder, { folders: { created: 1 } }]],
  alterFolder: [
    [
      "a new name of a folder",
      folder,
      (id: number) => folders.alterFolder(mailbox, id, { name: `Called otherwise ${id}` }),
      { folders: { updated: 1 } },
    ],
    [
      "another place of a folder",
      async () => ({ id: await folder(), into: await folder() }),
      ({ id, into }: { id: number; into: number }) => folders.alterFolder(mailbox, id, { parent: into }),
      { folders: { updated: 1 } },
    ],
    [
      "a subscription",
      folder,
      (id: number) => folders.alterFolder(mailbox, id, { subscribed: false }),
      { folders: { updated: 1 } },
    ],
  ],
  removeFolder: [
    [
      "a folder that goes",
      folder,
      (id: number) => folders.removeFolder(mailbox, id, "refuse"),
      { folders: { destroyed: 1 } },
    ],
    [
      "a folder that goes, and what was in it into the trash",
      async () => {
        const id = await folder();
        await placed(id);
        return id;
      },
      (id: number) => folders.removeFolder(mailbox, id, "trash"),
      { folders: { destroyed: 1 }, placements: { created: 1, destroyed: 1 } },
    ],
  ],
};

/** What only reads, and what the acts are made of. */
const READS = [
  ...["blobId", "readBlobId", "findBlob", "stateAt", "formatState", "readState", "currentState", "changesSince"],
  ...["folders", "folderCalled", "isWaiting", "readFolder", "readMessage", "readMessages", "readThread"],
  ...["touchesArchive", "inArchive", "folderFacts", "folderChanges"],
  ...["searchInFolder", "everyHitInFolder", "mailboxOf", "writing", "refusal", "release", "copyOf"],
];

it("each act of the mailbox service is tried here", () => {
  const service = import.meta.glob<object>("../../../src/worker/mailbox/*.ts", { eager: true });
  const names = Object.values(service).flatMap((module) => Object.keys(module));
  const acts = names.filter((name) => !READS.includes(name));
  expect(acts.toSorted()).toEqual(Object.keys(ACTS).toSorted());
});

describe("a watcher hears the state after", () => {
  it.each(Object.values(ACTS).flat())("%s", async (_what, prepare, act, did) => {
    await hears(prepare, act, did);
  });

  it("mail that comes", async () => {
    await hears(nothing, () => send([ANN], letter()), { placements: { created: 1 } });
  });

  it("a message of the archive that is put into the inbox again", async () => {
    const message = async () => {
      await send([ANN], letter());
      return env.SHARD_0.prepare("SELECT max(id) AS id FROM message WHERE account = ?1")
        .bind(mailbox.account)
        .first<number>("id");
    };
    await hears(message, (id: number) => must("POST", `/api/archive/0-${id}/redeliver`), {
      placements: { created: 1 },
    });
  });

  it.each([
    ["keep", { updated: 1 }],
    ["discard", { destroyed: 1 }],
  ])("what an administrator decides of mail that waits: %s", async (choice, placements) => {
    const prepare = async () => {
      await must("PUT", `${MAILBOX}?waiting=discard`, { covered: true, aliases: [`info@${DOMAIN}`] });
      await send([`info@${DOMAIN}`], letter());
    };
    await hears(prepare, () => must("PUT", `${MAILBOX}?waiting=${choice}`, { aliases: [] }), { placements });
  });

  it("a reindex, after which no earlier state is known", async () => {
    watcher.frames.splice(0);
    await makeAccounts(env as Env, null, 0, true, Date.now());
    const state = await changes.currentState(mailbox);
    await vi.waitFor(
      () => expect(watcher.frames.at(-1)).toEqual({ op: "changed", account: mailbox.account, seq: state }),
      { timeout: 20_000 },
    );
    expect(await changes.changesSince(mailbox, changes.stateAt(state - 1), MAX_CHANGES)).toBeNull();
  });
});

it("a repeat of what was done and not told is told", async () => {
  const [id = 0] = await mail();
  watcher.frames.splice(0);
  const flag = { account: mailbox.account, add: FLAGGED, remove: 0 };
  await env.SHARD_0.batch([
    env.SHARD_0.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1").bind(flag.account),
    env.SHARD_0.prepare(
      "UPDATE placement SET flags = ?2, modseq = (SELECT seq FROM account WHERE id = ?3) WHERE id = ?1",
    ).bind(id, flag.add, flag.account),
  ]);
  await messages.markMessages(mailbox, [id], flag);
  const seq = await changes.currentState(mailbox);
  expect(await watcher.take(1)).toEqual([{ op: "changed", account: mailbox.account, seq }]);
});

it("a write that got no answer is told, as it may have been done", async () => {
  const [id = 0] = await mail();
  watcher.frames.splice(0);
  const db = Object.create(env.SHARD_0, {
    batch: {
      value: async (statements: D1PreparedStatement[]) => {
        await env.SHARD_0.batch(statements);
        throw new Error("the connection was lost");
      },
    },
  }) as D1Database;
  const away = { ...mailbox, db };
  await expect(messages.markMessages(away, [id], { add: FLAGGED, remove: 0 })).rejects.toThrow("was lost");
  const seq = await changes.currentState(mailbox);
  expect(await watcher.take(1)).toEqual([{ op: "changed", account: mailbox.account, seq }]);
});

it("an act is done and answered where the domain's object does not answer", async () => {
  const [id = 0] = await placed(junk);
  const never = new Promise<never>(() => undefined);
  const object = { report: () => never } as unknown as DomainRpc;
  const DOMAIN = { getByName: () => object } as unknown as Env["DOMAIN"];
  const away = { ...mailbox, env: { ...mailbox.env, DOMAIN } };
  const moved = done(await messages.moveMessages(away, [id], inbox));
  expect(moved.moved).toHaveLength(1);
  expect(await reading.readMessage(mailbox, moved.moved[0]?.to ?? 0)).not.toBeNull();
});

it("every statement that steps an account's counter gives the state to whoever tells it", () => {
  const sources = import.meta.glob<string>("../../../src/worker/**/*.ts", {
    query: "?raw",
    import: "default",
    eager: true,
  });
  const steps = Object.entries(sources).flatMap(([path, text]) =>
    [...text.matchAll(/`\s*UPDATE account SET[^`]*`|"UPDATE account SET[^"]*"/g)]
      .map(([statement]) => ({ path, statement }))
      .filter(({ statement }) => /\bseq = seq \+/.test(statement)),
  );
  expect(steps.length).toBeGreaterThan(6);
  expect(steps.filter(({ statement }) => !/\$\{STATE\}`$/.test(statement))).toEqual([]);
});
