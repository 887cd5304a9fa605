import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { MOVE_SETTLE } from "../../../src/core/limits.ts";
import { moveMailboxes } from "../../../src/worker/move/drive.ts";
import { addUser, asOperator, call, json, OPERATOR } from "../access/client.ts";
import { createOrganisation, letter, must, send } from "../receive/organisation.ts";
import { beginMove, contents, find, finish, leftovers, movePath, shard, status } from "./mailbox.ts";

const DOMAIN = "moves.example.org";
let count = 0;

beforeAll(async () => {
  await createOrganisation(DOMAIN);
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
});

/** A user with mail: waiting, read, moved, deleted, and an archived copy. */
async function aUser(letters = 5): Promise<{ address: string; token: string }> {
  count += 1;
  const address = `user${count}@${DOMAIN}`;
  const token = await addUser(address);
  for (let n = 0; n < letters; n++) await mustSend(address, letter({ Subject: `Number ${n}` }));
  return { address, token };
}

async function mustSend(address: string, octets: Uint8Array<ArrayBuffer>): Promise<void> {
  const { final, rcpt } = await send([address], octets);
  if (final?.code !== 250) throw new Error(`not accepted: ${JSON.stringify([rcpt, final])}`);
}

interface Item {
  readonly id: string;
  readonly subject: string;
  readonly waiting: boolean;
}
const inbox = async (token: string, folder = "inbox") =>
  (await json("GET", `/api/mail/messages?folder=${folder}&limit=200`, { token })).body.items as Item[];

describe("a mailbox that is moved to another shard", { timeout: 60_000 }, () => {
  it("is there as it was: messages, folders, UIDs, flags, change records, the backlog and the full text", async () => {
    const { address, token } = await aUser();
    const [first, second, third] = await inbox(token);
    await json("PATCH", `/api/mail/messages/${first?.id}`, { token, body: { seen: true, flagged: true } });
    await json("PATCH", `/api/mail/messages/${second?.id}`, { token, body: { folder: "junk" } });
    await json("DELETE", `/api/mail/messages/${third?.id}`, { token });
    const { id, db } = await find(address);
    await db
      .prepare(
        "INSERT INTO folder (account, parent, name, uidvalidity, modseq) SELECT ?1, id, 'Bills', 77, 3 FROM folder WHERE account = ?1 AND role = 'archive'",
      )
      .bind(id)
      .run();
    const before = await contents(db, id);
    expect(before.messages).toHaveLength(5);
    expect(before.found).toBe(5);
    await beginMove(address, 1);
    await finish(address);
    const after = await find(address);
    expect(after.shard).toBe(1);
    expect(await contents(env.SHARD_1, id)).toEqual(before);
    expect(await leftovers(env.SHARD_0, id)).toBe(0);
    expect(await env.SHARD_1.prepare("SELECT count(*) AS n FROM arrival").first("n")).toBe(0);
    expect(await status(address)).toMatchObject({ phase: "done", problem: null, messages: { copied: 5, cleared: 5 } });
  });

  it("has all that its owner has set, and whom they have told; what was to follow an arrival is done first", async () => {
    const { address, token } = await aUser(0);
    const words = { isEnabled: true, subject: "Away", textBody: "Until Monday" };
    await json("PUT", "/api/mail/vacation", { token, body: words });
    const names = ["Zoe", "Ann", "Last"];
    for (const name of names) await json("POST", "/api/mail/identities", { token, body: { email: address, name } });
    const { id } = await find(address);
    await env.SHARD_0.prepare("INSERT INTO told (account, sender, at) VALUES (?1, 'a@example.net', ?2)")
      .bind(id, Date.now())
      .run();
    const settings = async () => [
      (await json("GET", "/api/mail/vacation", { token })).body,
      (await json("GET", "/api/mail/identities", { token })).body,
    ];
    const before = await settings();
    const domain = await env.DIRECTORY.prepare("SELECT domain FROM mailbox WHERE id = ?1")
      .bind(id)
      .first<number>("domain");
    // Due in a day: the old rows wait for it.
    const due = (domain ?? 0) * 2 ** 32 + Math.floor(Date.now() / 1000) + 86_400;
    await env.SHARD_0.prepare("INSERT INTO follow_up (message, account, due) VALUES (1, ?1, ?2)").bind(id, due).run();
    await beginMove(address, 1);
    let now = Date.now();
    for (let runs = 0; runs < 20; runs++) {
      await moveMailboxes(env, () => now, id);
      now += MOVE_SETTLE + 60_000;
    }
    expect((await status(address)).phase).toBe("purging");
    expect(
      await env.SHARD_0.prepare("SELECT count(*) AS n FROM on_arrival WHERE account = ?1").bind(id).first("n"),
    ).toBe(1);
    await env.SHARD_0.prepare("DELETE FROM follow_up WHERE account = ?1").bind(id).run();
    await finish(address, now);
    expect((await find(address)).shard).toBe(1);
    expect(await settings()).toEqual(before);
    const { body } = await json("GET", "/api/mail/identities", { token });
    expect((body.items as { name: string }[]).map(({ name }) => name)).toEqual(["", ...names]);
    expect(await env.SHARD_1.prepare("SELECT sender FROM told WHERE account = ?1").bind(id).first("sender")).toBe(
      "a@example.net",
    );
    expect(await leftovers(env.SHARD_0, id)).toBe(0);
  });

  it("is not changed behind the fence: who sets something meanwhile hears 503, and it is set nowhere", async () => {
    const { address, token } = await aUser(0);
    const { id } = await find(address);
    const made = await json("POST", "/api/mail/identities", { token, body: { email: address, name: "Ann" } });
    await env.SHARD_0.prepare("UPDATE account SET move = 'fenced' WHERE id = ?1").bind(id).run();
    const body = { isEnabled: true, textBody: "Away" };
    expect((await json("PUT", "/api/mail/vacation", { token, body })).status).toBe(503);
    expect((await json("POST", "/api/mail/identities", { token, body: { email: address } })).status).toBe(503);
    expect((await json("DELETE", `/api/mail/identities/${String(made.body.id)}`, { token })).status).toBe(503);
    await env.SHARD_0.prepare("UPDATE account SET move = NULL WHERE id = ?1").bind(id).run();
    expect((await json("GET", "/api/mail/vacation", { token })).body).toMatchObject({ isEnabled: false });
    expect((await json("GET", "/api/mail/identities", { token })).body.items).toHaveLength(2);
  });

  it("goes on by the API: 202, its state, and what the log says of it", async () => {
    const { address, token } = await aUser(2);
    expect((await asOperator("GET", movePath(address))).status).toBe(404);
    const begun = await asOperator("POST", movePath(address), { shard: 1 });
    expect(begun).toMatchObject({ status: 202, body: { from: 0, to: 1, phase: "copying", endedAt: null } });
    await expect.poll(async () => (await status(address)).phase, { timeout: 20_000 }).toBe("purging");
    expect((await find(address)).shard).toBe(1);
    expect((await inbox(token)).map(({ subject }) => subject)).toEqual(["Number 1", "Number 0"]);
    expect(await asOperator("POST", movePath(address), { shard: 1 })).toMatchObject({ status: 202 });
    expect(await asOperator("POST", movePath(address), { shard: 0 })).toMatchObject({
      status: 409,
      body: { code: "moving" },
    });
    expect(await asOperator("DELETE", movePath(address))).toMatchObject({ status: 409, body: { code: "moved" } });
    await finish(address, Date.now() + MOVE_SETTLE + 1000);
    expect(await asOperator("POST", movePath(address), { shard: 1 })).toMatchObject({
      status: 409,
      body: { code: "there_already" },
    });
    const { body } = await asOperator("GET", `/api/domains/${DOMAIN}/events`);
    const told = (body.items as { kind: string; data: { mailbox?: string } }[])
      .filter(({ data }) => data.mailbox === address)
      .map(({ kind }) => kind);
    expect(told).toEqual(["mailbox_moved", "mailbox_switched", "mailbox_move_started", "mailbox_registered"]);
  });

  it("is moved by operators only, to a shard that there is", async () => {
    const { address, token } = await aUser(0);
    for (const method of ["POST", "GET", "DELETE"] as const) {
      const body = method === "POST" ? { shard: 1 } : undefined;
      expect((await json(method, movePath(address), { token, body })).status).toBe(403);
      expect((await call(method, movePath(address), { body })).status).toBe(401);
    }
    expect((await json("GET", "/api/shards", { token })).status).toBe(403);
    expect(await asOperator("POST", movePath(address), { shard: 7 })).toMatchObject({
      status: 422,
      body: { detail: "shard: there is no database bound as SHARD_7" },
    });
    expect((await asOperator("POST", movePath(`nobody@${DOMAIN}`), { shard: 1 })).status).toBe(404);
  });

  it("comes back too, with numbers that name nothing else than before", async () => {
    const { address, token } = await aUser(3);
    const old = await inbox(token);
    const { id } = await find(address);
    const before = await contents(env.SHARD_0, id);
    for (const target of [1, 0]) {
      await beginMove(address, target);
      await finish(address);
      const now = await inbox(token);
      for (const { id: number } of old) {
        expect(now.map((item) => item.id)).not.toContain(number);
        expect((await json("GET", `/api/mail/messages/${number}`, { token })).status).toBe(404);
      }
    }
    expect(await contents(env.SHARD_0, id)).toEqual(before);
    expect(await leftovers(env.SHARD_1, id)).toBe(0);
  });

  it("is found once in a search of its domain, in every step, and an old number of the archive is nobody else's", async () => {
    const { address, token } = await aUser(3);
    const subjects = async () => {
      const { body } = await asOperator("GET", `/api/archive?mailbox=${address}&limit=50`);
      return (body.items as Item[]).map(({ id }) => id);
    };
    const inDomain = async () => {
      const { body } = await asOperator("GET", `/api/archive?domain=${DOMAIN}&to=${address}&limit=50`);
      return (body.items as Item[]).map(({ subject }) => subject).sort();
    };
    const [old] = await subjects();
    await beginMove(address, 1);
    let now = Date.now();
    const phases = new Set<string>();
    for (;;) {
      await moveMailboxes(env, () => now, (await find(address)).id, 1);
      const { phase } = await status(address);
      phases.add(phase);
      expect(await inDomain(), phase).toEqual(["Number 0", "Number 1", "Number 2"]);
      expect((await inbox(token)).length, phase).toBe(3);
      if (phase === "done") break;
      if (phase === "purging") {
        now += MOVE_SETTLE + 1000;
        for (const asking of [OPERATOR, token])
          expect((await json("GET", `/api/archive/${old}`, { token: asking })).status).toBe(404);
      }
    }
    expect([...phases]).toEqual(["copying", "switching", "switched", "purging", "done"]);
    const [moved] = await subjects();
    expect(moved).toMatch(/^1-/);
    expect((await json("GET", `/api/archive/${moved}`, { token })).status).toBe(200);
  });

  it("takes its place among the mail of its new shard by age, so that search and retention find it", async () => {
    const { address } = await aUser(3);
    const { id } = await find(address);
    const day = 24 * 3600_000;
    const ages = [88, 50, 10].map((days) => Date.now() - days * day);
    const { results } = await env.SHARD_0.prepare("SELECT id FROM message WHERE account = ?1 ORDER BY id")
      .bind(id)
      .all<{ id: number }>();
    const number = (at: number) => Math.floor(at / 1000 - 1_704_067_200) * 1024;
    for (const [index, row] of results.entries()) {
      const at = ages[index] ?? 0;
      await env.SHARD_0.batch([
        env.SHARD_0.prepare("UPDATE message SET at = ?2, id = ?3 WHERE id = ?1").bind(row.id, at, number(at)),
        env.SHARD_0.prepare("UPDATE placement SET message = ?2 WHERE message = ?1").bind(row.id, number(at)),
      ]);
    }
    // One of the numbers is taken there.
    await env.SHARD_1.prepare(
      `INSERT INTO message (id, account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta)
       VALUES (?1, 999, 'x', 'x', 1, 'in', ?2, 1, 'archive/x', '', '', '', '{}')`,
    )
      .bind(number(ages[1] ?? 0), ages[1])
      .run();
    await beginMove(address, 1);
    // The full text of these rows has other numbers by now: the copy has it for all.
    await finish(address);
    const moved = await env.SHARD_1.prepare("SELECT id, at FROM message WHERE account = ?1 ORDER BY id").bind(id).all();
    expect(moved.results).toEqual(ages.map((at, index) => ({ id: number(at) + (index === 1 ? 1 : 0), at })));
  });

  it("may be cancelled before the switch: nothing is left of the copy, and the original was never touched", async () => {
    const { address } = await aUser(4);
    const { id } = await find(address);
    const before = await contents(env.SHARD_0, id);
    await beginMove(address, 1);
    for (let step = 0; step < 2; step++) await moveMailboxes(env, Date.now, id, 1);
    expect(await env.SHARD_1.prepare("SELECT count(*) AS n FROM message WHERE account = ?1").bind(id).first("n")).toBe(
      4,
    );
    expect(await asOperator("DELETE", movePath(address))).toMatchObject({ status: 202, body: { phase: "cancelling" } });
    await finish(address);
    expect((await status(address)).phase).toBe("cancelled");
    expect(await contents(env.SHARD_0, id)).toEqual(before);
    expect(await leftovers(env.SHARD_1, id)).toBe(0);
    expect(await env.SHARD_1.prepare("SELECT 1 FROM account WHERE id = ?1").bind(id).first()).toBeNull();
    expect((await find(address)).shard).toBe(0);
    await mustSend(address, letter());
    await beginMove(address, 1);
    await finish(address);
    expect((await contents(shard(1), id)).messages).toHaveLength(5);
  });

  it("whose octets are not in R2 any more moves with what the index knows of them", async () => {
    const { address } = await aUser(2);
    const { id } = await find(address);
    const before = await contents(env.SHARD_0, id);
    await env.MAIL.delete(String(before.messages[0]?.key));
    await beginMove(address, 1);
    await finish(address);
    expect(await contents(env.SHARD_1, id)).toEqual(before);
  });

  it("of some hundred messages moves page by page, and none is left out at a page's edge", async () => {
    const { address } = await aUser(0);
    const { id } = await find(address);
    for (let n = 0; n < 101; n++) await mustSend(address, letter());
    const before = await contents(env.SHARD_0, id);
    await beginMove(address, 1);
    await finish(address);
    expect(await contents(env.SHARD_1, id)).toEqual(before);
    expect(await leftovers(env.SHARD_0, id)).toBe(0);
  });
});
