/** The backlog in the tables: its order, its counts, and how mail leaves it. */
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { createAccounts } from "../../../src/worker/store/accounts.ts";
import {
  backlogCounts,
  backlogPage,
  domainsWaiting,
  keepInPortal,
  markRefused,
  removeDelivered,
  waitingOf,
} from "../../../src/worker/store/backlog.ts";
import { listPlacements } from "../../../src/worker/store/placements.ts";
import { arrive, entryOf, folderOf, NOON, placement, seqOf } from "./stored.ts";

const db = env.SHARD_0;
let domain = 10;
let ann = 0;
let bob = 0;

beforeEach(async () => {
  domain += 2;
  ann = domain * 10;
  bob = ann + 1;
  await createAccounts(db, [ann, bob], domain, NOON);
});

const waits = (account: number, at = NOON, to = "ann@example.org") => arrive(entryOf(account, { domain, at, to }));

describe("the backlog", () => {
  it("comes oldest first, over all accounts of the domain, page by page", async () => {
    const [late = 0] = await waits(ann, NOON + 60_000);
    const [early = 0] = await waits(bob, NOON);
    const [same = 0] = await waits(bob, NOON);
    const first = await backlogPage(db, domain, null, 2);
    expect(first.map(({ id }) => id)).toEqual([early, same].sort((a, b) => a - b));
    const rest = await backlogPage(db, domain, first[1] ?? null, 2);
    expect(rest.map(({ id }) => id)).toEqual([late]);
    expect(await backlogPage(db, domain, rest[0] ?? null, 2)).toEqual([]);
  });

  it("has the envelope with which each message is redelivered", async () => {
    await waits(ann, NOON, "Ann+tag@Example.org");
    const [message] = await backlogPage(db, domain, null, 1);
    expect(message?.meta.envelope).toEqual({
      from: "sender@example.net",
      to: "Ann+tag@Example.org",
      body: "8BITMIME",
      smtputf8: false,
    });
  });

  it("of one domain is not that of its neighbours", async () => {
    await waits(ann);
    await arrive(entryOf(bob, { domain: domain + 1 }));
    expect(await backlogPage(db, domain, null, 10)).toHaveLength(1);
    expect(await backlogPage(db, domain - 1, null, 10)).toEqual([]);
    expect(await backlogCounts(db, domain + 1)).toEqual({ waiting: 1, refused: 0 });
    expect((await domainsWaiting(db)).filter((each) => each >= domain)).toEqual([domain, domain + 1]);
    await removeDelivered(
      db,
      (await backlogPage(db, domain + 1, null, 10)).map(({ id }) => id),
    );
  });
});

describe("a delivered message", () => {
  it("leaves the inbox with a change record, and its archive copy stays", async () => {
    const [id = 0] = await waits(ann);
    await removeDelivered(db, [id]);
    expect(await placement(id)).toMatchObject({ gone: 2, modseq: 2, waiting: null });
    expect(await listPlacements(db, ann, await folderOf(ann, "inbox"), null, 10)).toEqual([]);
    const kept = await db.prepare("SELECT count(*) AS n FROM message WHERE account = ?1").bind(ann).first<number>("n");
    expect(kept).toBe(1);
  });

  it("leaves once, however often it is said", async () => {
    const [id = 0] = await waits(ann);
    await removeDelivered(db, [id]);
    await removeDelivered(db, [id]);
    expect(await seqOf(ann)).toBe(2);
  });

  it("leaves the inboxes of all whom the alias belongs to", async () => {
    const [anns = 0] = await waits(ann);
    const [bobs = 0] = await waits(bob);
    await removeDelivered(db, [anns, bobs]);
    expect(await backlogCounts(db, domain)).toEqual({ waiting: 0, refused: 0 });
    expect([await seqOf(ann), await seqOf(bob)]).toEqual([2, 2]);
  });
});

describe("a refused message", () => {
  it("stays in the inbox with the origin's reply, is counted, and is not offered again", async () => {
    const [id = 0] = await waits(ann);
    await markRefused(db, [id], '{"code":550,"text":"no"}');
    expect(await backlogPage(db, domain, null, 10)).toEqual([]);
    expect(await backlogCounts(db, domain)).toEqual({ waiting: 0, refused: 1 });
    const [message] = await listPlacements(db, ann, await folderOf(ann, "inbox"), null, 10);
    expect(message).toMatchObject({ id, refusal: '{"code":550,"text":"no"}' });
    await markRefused(db, [id], "{}");
    expect((await placement(id))?.refusal).toBe('{"code":550,"text":"no"}');
  });
});

it("what is kept in the portal stays in the inbox and waits no more", async () => {
  const [id = 0] = await waits(ann);
  await keepInPortal(db, [id]);
  expect(await placement(id)).toMatchObject({ gone: null, waiting: null });
  expect(await backlogCounts(db, domain)).toEqual({ waiting: 0, refused: 0 });
});

it("an account's waiting mail is told with the address it came for", async () => {
  const [id = 0] = await waits(ann, NOON, "info@example.org");
  await waits(bob);
  expect(await waitingOf(db, ann)).toMatchObject([{ id, to: "info@example.org" }]);
});
