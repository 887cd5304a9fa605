/** A shard that was set back to the middle of a move that ended long ago: a reindex sets the marks right. */
import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { moveMailboxes } from "../../../src/worker/move/drive.ts";
import { asOperator } from "../access/client.ts";
import { reindex } from "../archive/lost-shard.ts";
import { createOrganisation, letter, must, send } from "../receive/organisation.ts";
import { beginMove, contents, find, finish, leftovers } from "./mailbox.ts";

const DOMAIN = "back.example.org";
let count = 0;

beforeAll(async () => {
  await createOrganisation(DOMAIN);
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
});

/** A mailbox in which one message waits. */
async function aMailbox(): Promise<string> {
  count += 1;
  const address = `user${count}@${DOMAIN}`;
  await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${address}`, {});
  expect(await arrives(address)).toBe(250);
  return address;
}

const arrives = async (address: string) => (await send([address], letter())).final?.code;
const mark = async (db: D1Database, address: string, move: string | null) =>
  db
    .prepare("UPDATE account SET move = ?2 WHERE id = ?1")
    .bind((await find(address)).id, move)
    .run();
const markOf = async (db: D1Database, address: string) =>
  db
    .prepare("SELECT move FROM account WHERE id = ?1")
    .bind((await find(address)).id)
    .first<string>("move");
const waiting = async () => ((await must("GET", `/api/domains/${DOMAIN}`)).backlog as { waiting: number }).waiting;

describe("a mailbox on the shard where it lives", () => {
  it.each(["fenced", "left"])("that is marked as %s there takes mail again", async (move) => {
    const address = await aMailbox();
    await mark(env.SHARD_0, address, move);
    expect(await arrives(address)).toBe(451);
    await reindex();
    expect(await markOf(env.SHARD_0, address)).toBe(null);
    expect(await arrives(address)).toBe(250);
  });

  it("that is marked as arriving there has its backlog seen again, and moves later on as any other", async () => {
    const before = await waiting();
    const address = await aMailbox();
    const { id } = await find(address);
    await mark(env.SHARD_0, address, "arriving");
    await env.SHARD_0.prepare("INSERT INTO arrival (account, kind, source, target) VALUES (?1, 'message', 1, 1)")
      .bind(id)
      .run();
    expect(await waiting()).toBe(before);
    await reindex();
    expect(await waiting()).toBe(before + 1);
    expect(await env.SHARD_0.prepare("SELECT count(*) AS n FROM arrival").first("n")).toBe(0);
    const original = await contents(env.SHARD_0, id);
    await beginMove(address, 1);
    await finish(address);
    expect(await contents(env.SHARD_1, id)).toEqual(original);
  });
});

describe("a mailbox that has moved away from the shard that was set back", () => {
  it("is not shown and not given back from there a second time", async () => {
    const address = await aMailbox();
    const { id } = await find(address);
    await env.DIRECTORY.prepare("UPDATE mailbox SET shard = 1 WHERE id = ?1").bind(id).run();
    await (env.DOMAIN.getByName(DOMAIN) as unknown as { reload(name: string): Promise<void> }).reload(DOMAIN);
    const found = async () =>
      ((await asOperator("GET", `/api/archive?domain=${DOMAIN}&to=${address}`)).body.items as { id: string }[]).map(
        (item) => item.id.slice(0, 2),
      );
    await reindex();
    expect(await markOf(env.SHARD_0, address)).toBe("left");
    expect(await found()).toEqual(["1-"]);
    const { messages } = await contents(env.SHARD_0, id);
    expect(messages).toHaveLength(1);
  });
});

it("a mailbox that is moving is its mover's: its marks stay, and it ends where it was to go", async () => {
  const address = await aMailbox();
  const { id } = await beginMove(address, 1);
  await moveMailboxes(env as Env, Date.now, id, 1);
  expect([await markOf(env.SHARD_0, address), await markOf(env.SHARD_1, address)]).toEqual(["leaving", "arriving"]);
  await reindex();
  expect([await markOf(env.SHARD_0, address), await markOf(env.SHARD_1, address)]).toEqual(["leaving", "arriving"]);
  await finish(address);
  expect((await find(address)).shard).toBe(1);
  expect(await leftovers(env.SHARD_0, id)).toBe(0);
  expect(await arrives(address)).toBe(250);
});

it("a new shard that is set back while the old one is still being cleared is in use again", async () => {
  const address = await aMailbox();
  const { id } = await beginMove(address, 1);
  for (let run = 0; run < 50 && (await find(address)).shard === 0; run++)
    await moveMailboxes(env as Env, Date.now, id, 1);
  await moveMailboxes(env as Env, Date.now, id, 1);
  await mark(env.SHARD_1, address, "arriving");
  await finish(address);
  expect(await markOf(env.SHARD_1, address)).toBe(null);
});
