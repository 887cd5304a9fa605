/** An index that was lost is made anew: nothing that waited is lost, and nothing is queued that the origin or a person has settled. */
import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { newKey, putRaw } from "../../../src/worker/archive/raw.ts";
import { purge } from "../../../src/worker/archive/retention.ts";
import type { DomainRpc } from "../../../src/worker/domain/contract.ts";
import { openDatabase } from "../../../src/worker/domain/database.ts";
import type { Env } from "../../../src/worker/env.ts";
import { Flights } from "../../../src/worker/failback/flights.ts";
import { asOperator, json, PASSWORD, signInAs } from "../access/client.ts";
import {
  belowOurs,
  createOrganisation,
  type Kept,
  kept,
  letter,
  must,
  type Organisation,
  send,
} from "../receive/organisation.ts";
import { loseShard, reindex } from "./lost-shard.ts";

const DOMAIN = "reindex.example";
const ANN = `ann@${DOMAIN}`;
const BOB = `bob@${DOMAIN}`;
let organisation: Organisation;
let ann = "";

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
  await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${ANN}`, { password: PASSWORD });
  ann = await signInAs(ANN);
});
beforeEach(async () => {
  await empty();
  await organisation.origin.set({});
  await mode("normal");
});

/** Nothing of an earlier test: neither rows nor octets. */
async function empty(): Promise<void> {
  const { objects } = await env.MAIL.list();
  await env.MAIL.delete(objects.map(({ key }) => key));
  await loseShard();
  await reindex();
}

/** The octets are stored, and there is neither row nor answer. */
async function workerDiesWith(octets: Uint8Array, at = Date.now(), goesTo: "origin" | "portal" = "origin") {
  const { key, id } = newKey(at);
  const client = { ip: "192.0.2.7", helo: "mail.example.net", protocol: "ESMTP" };
  await putRaw(env.MAIL, key, octets, {
    receipt: { id, at, host: "mx.holdfast.test", client },
    goesTo,
    direction: "in",
    domain: DOMAIN,
    from: "somebody@example.net",
    recipients: [ANN],
    body: "8BITMIME",
    smtputf8: false,
  });
}

const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
const rpc = () => env.DOMAIN.getByName(DOMAIN) as unknown as DomainRpc;
/** All that waits is offered to the origin, and has its outcome. */
async function failback(): Promise<void> {
  await mode("emergency");
  await mode("normal");
  await vi.waitFor(
    async () => {
      // The object's own alarm may have been faster.
      await runDurableObjectAlarm(env.DOMAIN.getByName(DOMAIN));
      const waiting = await env.SHARD_0.prepare("SELECT count(*) AS n FROM placement WHERE waiting > 0").first("n");
      expect([waiting, (await rpc().status())?.run]).toEqual([0, null]);
    },
    { timeout: 10_000, interval: 100 },
  );
}

/** In emergency mode: it waits in the portal. */
async function arrives(to: string, fields: Record<string, string> = {}): Promise<Uint8Array<ArrayBuffer>> {
  await mode("emergency");
  const octets = letter(fields);
  const { final } = await send([to], octets);
  expect(final?.code).toBe(250);
  return octets;
}

/** What people see, without the numbers of rows. */
const view = async (): Promise<string[]> =>
  (await kept(DOMAIN)).map((row) => `${row.mailbox}: ${row.subject}: ${placeOf(row)}`).sort();
const placeOf = ({ inInbox, waiting }: Kept): string =>
  !inInbox ? "archive" : waiting === null ? "inbox" : waiting > 0 ? "waiting" : "refused";

async function taken(): Promise<(string | undefined)[]> {
  const decoder = new TextDecoder();
  const messages = (await organisation.origin.messages()).filter(({ accepted }) => accepted);
  return messages.map(({ raw }) => /^Subject: (.*)\r$/m.exec(decoder.decode(raw))?.[1]);
}

/** What the origin has had of it after everything that waits was given back. */
async function givenBack(): Promise<(string | undefined)[]> {
  const before = (await taken()).length;
  await failback();
  return (await taken()).slice(before);
}

const inbox = async () => (await json("GET", "/api/mail/messages?folder=inbox", { token: ann })).body.items as Listed[];
interface Listed {
  readonly id: string;
  readonly subject: string;
}

describe("after its shard was lost", () => {
  it("mail that waits is in its inbox again and goes to the origin once", async () => {
    await arrives(ANN, { Subject: "First" });
    await arrives(`Info+tag@${DOMAIN.toUpperCase()}`, { Subject: "Second" });
    await arrives(BOB, { Subject: "Third" });
    const before = await view();
    await loseShard();
    expect(await reindex()).toMatchObject({ indexed: 3, waiting: 3, problems: [], mailboxes: 3 });
    expect(await view()).toEqual(before);
    // Its order is by seconds: within one it is that of the index.
    expect((await givenBack()).sort()).toEqual(["First", "Second", "Third"]);
    const asWritten = `Info+tag@${DOMAIN.toUpperCase()}`;
    expect((await organisation.origin.messages()).slice(-3).map(({ to }) => to)).toContainEqual([asWritten]);
    expect(await givenBack()).toEqual([]);
    expect(await view()).toEqual(["ann: First: archive", "ann: Second: archive", "bob: Third: archive"]);
  });

  it("mail that the origin failed to take at the final dot waits again", async () => {
    await organisation.origin.set({ steps: { final: "451 4.3.0 later" } });
    await send([ANN, BOB], letter({ Subject: "Failed at the dot" }));
    const before = await view();
    expect(before).toEqual(["ann: Failed at the dot: waiting", "bob: Failed at the dot: waiting"]);
    await loseShard();
    expect(await reindex()).toMatchObject({ waiting: 2 });
    expect(await view()).toEqual(before);
    await organisation.origin.set({});
    expect(await givenBack()).toEqual(["Failed at the dot", "Failed at the dot"]);
  });

  it("the same where the domain's object was not there to hear of it", async () => {
    await organisation.origin.set({ steps: { final: "451 4.3.0 later" } });
    const deaf = { getByName: (name: string) => ({ plan: planOf(name), report: down }) };
    await send([ANN], letter({ Subject: "Unheard" }), { env: { ...env, DOMAIN: deaf } as unknown as Env });
    await loseShard();
    expect(await reindex()).toMatchObject({ waiting: 1 });
    expect(await view()).toEqual(["ann: Unheard: waiting"]);
  });

  it("mail that the origin took while it came is in the archive alone, found by its words", async () => {
    await send([ANN, BOB], letter({ Subject: "Taken at once" }, "a pelican\r\n"));
    await send([ANN], letter({ Subject: "Another" }));
    await loseShard();
    expect(await reindex()).toMatchObject({ indexed: 3, waiting: 0 });
    expect(await view()).toEqual([
      "ann: Another: archive",
      "ann: Taken at once: archive",
      "bob: Taken at once: archive",
    ]);
    const { body } = await asOperator("GET", `/api/archive?domain=${DOMAIN}&q=pelican`);
    expect((body.items as Listed[]).map(({ subject }) => subject)).toEqual(["Taken at once", "Taken at once"]);
    expect(await givenBack()).toEqual([]);
  });

  it("mail that failback delivered is not queued again", async () => {
    await arrives(ANN, { Subject: "Given back" });
    expect(await givenBack()).toEqual(["Given back"]);
    await loseShard();
    expect(await reindex()).toMatchObject({ indexed: 1, waiting: 0 });
    expect(await view()).toEqual(["ann: Given back: archive"]);
    expect(await givenBack()).toEqual([]);
  });

  it("mail that the origin refused stays in the inbox with its reason, and is not offered again", async () => {
    await arrives(ANN, { Subject: "Refused" });
    await organisation.origin.set({ steps: { rcpt: "550 5.7.1 not you" } });
    await failback();
    expect(await view()).toEqual(["ann: Refused: refused"]);
    await loseShard();
    expect(await reindex()).toMatchObject({ indexed: 1, waiting: 0, refused: 1 });
    expect(await view()).toEqual(["ann: Refused: refused"]);
    expect((await inbox())[0]).toMatchObject({ refused: "550 5.7.1 not you" });
    await organisation.origin.set({});
    expect(await givenBack()).toEqual([]);
  });

  it("mail that a person moved is theirs and not queued again, and what they deleted is in the archive alone", async () => {
    await arrives(ANN, { Subject: "Moved" });
    await arrives(ANN, { Subject: "Deleted" });
    await arrives(ANN, { Subject: "Left" });
    for (const { id, subject } of await inbox()) {
      if (subject === "Moved")
        await json("PATCH", `/api/mail/messages/${id}`, { token: ann, body: { folder: "junk" } });
      if (subject === "Deleted") await json("DELETE", `/api/mail/messages/${id}`, { token: ann });
    }
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: Deleted: archive", "ann: Left: waiting", "ann: Moved: inbox"]);
    expect(await givenBack()).toEqual(["Left"]);
  });

  it("of a message for several mailboxes, each has what its own person did", async () => {
    await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${BOB}`, { aliases: [`info@${DOMAIN}`] });
    await arrives(`info@${DOMAIN}`, { Subject: "For both" });
    const [mine] = await inbox();
    await json("DELETE", `/api/mail/messages/${mine?.id}`, { token: ann });
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: For both: archive", "bob: For both: waiting"]);
    expect(await givenBack()).toEqual(["For both"]);
    await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${BOB}`, { aliases: [] });
  });

  it("mail that somebody had redelivered by hand is in the archive once", async () => {
    await send([ANN], letter({ Subject: "By hand" }));
    await mode("emergency");
    const { body } = await asOperator("GET", `/api/archive?domain=${DOMAIN}`);
    await asOperator("POST", `/api/archive/${(body.items as Listed[])[0]?.id}/redeliver`, {});
    expect(await view()).toEqual(["ann: By hand: inbox"]);
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: By hand: archive"]);
    expect(await givenBack()).toEqual([]);
  });

  it("mail for an address that is nobody's now waits in the domain's own account, and is told of", async () => {
    const eve = `eve@${DOMAIN}`;
    await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${eve}`, { covered: true });
    await arrives(eve, { Subject: "For Eve" });
    await must("DELETE", `/api/domains/${DOMAIN}/mailboxes/${eve}?waiting=deliver`);
    await loseShard();
    const { problems, nobody } = await reindex();
    expect(nobody).toBe(1);
    expect(problems).toMatchObject([{ kind: "nobody", detail: expect.stringContaining(eve) }]);
    expect(await givenBack()).toEqual(["For Eve"]);
  });

  it("a mailbox without any mail has its folders", async () => {
    await loseShard();
    expect((await json("GET", "/api/mail/folders", { token: ann })).body.items).toEqual([]);
    await reindex();
    expect(((await json("GET", "/api/mail/folders", { token: ann })).body.items as unknown[]).length).toBe(6);
  });
});

describe("after its shard was set back to an earlier time", () => {
  const tables = ["account", "folder", "message", "placement"] as const;
  type Rows = Record<string, unknown>;

  /** As Time Travel does. The full text is left out: nobody searches here. */
  async function setBack(act: () => Promise<void>): Promise<void> {
    const saved = await Promise.all(tables.map((table) => env.SHARD_0.prepare(`SELECT * FROM ${table}`).all<Rows>()));
    await act();
    await loseShard();
    for (const [index, table] of tables.entries()) {
      for (const row of saved[index]?.results ?? []) {
        const names = Object.keys(row);
        const values = names.map((_, at) => `?${at + 1}`);
        const statement = `INSERT INTO ${table} (${names.join()}) VALUES (${values.join()})`;
        await env.SHARD_0.prepare(statement)
          .bind(...names.map((name) => row[name]))
          .run();
      }
    }
  }

  it("mail that was given back since is not sent again, however long ago, even before a reindex", async () => {
    await arrives(ANN, { Subject: "Given back since" });
    await setBack(async () => {
      expect(await givenBack()).toEqual(["Given back since"]);
      // Flights remember an hour; here it is over.
      await runInDurableObject(env.DOMAIN.getByName(DOMAIN), (_object, state) => {
        new Flights(openDatabase(state.storage)).sweep(Date.now() + 2 * 3600_000);
      });
    });
    expect(await view()).toEqual(["ann: Given back since: waiting"]);
    expect(await givenBack()).toEqual([]);
    expect(await view()).toEqual(["ann: Given back since: archive"]);
  });

  it("what a person did since, and what the origin refused, is set right; the rest waits on", async () => {
    for (const subject of ["Moved since", "Deleted since", "Waits on"]) await arrives(ANN, { Subject: subject });
    await setBack(async () => {
      for (const { id, subject } of await inbox()) {
        const path = `/api/mail/messages/${id}`;
        if (subject === "Moved since") await json("PATCH", path, { token: ann, body: { folder: "junk" } });
        if (subject === "Deleted since") await json("DELETE", path, { token: ann });
      }
    });
    expect(await reindex()).toMatchObject({ present: 3, settled: 2, indexed: 0 });
    expect(await view()).toEqual(["ann: Deleted since: archive", "ann: Moved since: inbox", "ann: Waits on: waiting"]);
    expect(await givenBack()).toEqual(["Waits on"]);
  });
});

describe("mail that is older than the archive", () => {
  const day = 24 * 3600_000;
  /** What R2's rule does on the 91st day. */
  async function ruleTakesTheArchive(): Promise<void> {
    const { objects } = await env.MAIL.list({ prefix: "archive/" });
    await env.MAIL.delete(objects.map(({ key }) => key));
  }

  it("waits on the 91st day as on the first, and is given back", async () => {
    const octets = await arrives(ANN, { Subject: "Ninety days" });
    await purge(env, Date.now() + 86 * day);
    await ruleTakesTheArchive();
    await purge(env, Date.now() + 92 * day);
    expect(await view()).toEqual(["ann: Ninety days: waiting"]);
    expect(await givenBack()).toEqual(["Ninety days"]);
    expect(belowOurs((await organisation.origin.messages()).at(-1)?.raw ?? new Uint8Array())).toEqual(octets);
  });

  it("is where nothing of it is lost after its shard was: what waited waits, the rest is in the inbox", async () => {
    await arrives(ANN, { Subject: "Waited" });
    await arrives(ANN, { Subject: "Moved" });
    await arrives(ANN, { Subject: "Given back late" });
    const moved = (await inbox()).find(({ subject }) => subject === "Moved");
    await json("PATCH", `/api/mail/messages/${moved?.id}`, { token: ann, body: { folder: "junk" } });
    await purge(env, Date.now() + 86 * day);
    await ruleTakesTheArchive();
    const late = (await inbox()).find(({ subject }) => subject === "Given back late");
    await json("DELETE", `/api/mail/messages/${late?.id}`, { token: ann });
    await loseShard();
    expect(await reindex({ now: Date.now() + 92 * day })).toMatchObject({ seen: 3, indexed: 3, waiting: 1 });
    expect(await view()).toEqual(["ann: Given back late: archive", "ann: Moved: inbox", "ann: Waited: waiting"]);
    // The archive lets go of the one that nobody has in a folder, octets and all.
    await env.SHARD_0.prepare("UPDATE message SET id = id + 1000000 WHERE subject = 'Waited'").run();
    await env.SHARD_0.prepare(
      "UPDATE placement SET message = message + 1000000 WHERE message IN (SELECT id - 1000000 FROM message)",
    ).run();
    await purge(env, Date.now() + 92 * day);
    expect(await view()).toEqual(["ann: Moved: inbox", "ann: Waited: waiting"]);
    expect((await env.MAIL.list({ prefix: "mail/" })).objects).toHaveLength(2);
    expect(await reindex({ now: Date.now() + 92 * day })).toMatchObject({ present: 2, indexed: 0 });
    expect(await givenBack()).toEqual(["Waited"]);
  });

  it("that a mailbox sent is in its folder of sent mail", async () => {
    const { key, id } = newKey(Date.now());
    await putRaw(env.MAIL, key.replace(/.*\//, "mail/"), letter({ Subject: "Sent" }), {
      receipt: { id, at: Date.now(), host: "mx.holdfast.test", client: { ip: "", helo: "", protocol: "HTTP" } },
      direction: "out",
      domain: DOMAIN,
      from: ANN,
      recipients: ["friend@example.net"],
      body: "8BITMIME",
      smtputf8: false,
    });
    expect(await reindex()).toMatchObject({ indexed: 1, waiting: 0 });
    const { body } = await json("GET", "/api/mail/messages?folder=sent", { token: ann });
    expect((body.items as Listed[]).map(({ subject }) => subject)).toEqual(["Sent"]);
  });
});

describe("what was never accepted", () => {
  it("is not shown where its octets could not be deleted", async () => {
    await organisation.origin.set({ steps: { final: "550 5.7.1 spam" } });
    const MAIL = { ...bound(env.MAIL), delete: down } as unknown as R2Bucket;
    const { final } = await send([ANN], letter({ Subject: "Refused at once" }), { env: { ...env, MAIL } as Env });
    expect(final?.code).toBe(550);
    await loseShard();
    expect(await reindex()).toMatchObject({ seen: 1, skipped: 1, indexed: 0 });
    expect(await view()).toEqual([]);
  });

  it("and came again later, is one message, which waits", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Again" });
    expect((await send([ANN], octets, { env: brokenIndex })).final?.code).toBe(451);
    expect((await send([ANN], octets)).final?.code).toBe(250);
    await loseShard();
    expect(await reindex()).toMatchObject({ seen: 2, indexed: 1, repeats: 1 });
    expect(await view()).toEqual(["ann: Again: waiting"]);
    expect(await givenBack()).toEqual(["Again"]);
  });

  it("and came again when the origin took it, does not wait", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Again, taken" });
    expect((await send([ANN], octets, { env: brokenIndex })).final?.code).toBe(451);
    await mode("normal");
    expect((await send([ANN], octets)).final?.code).toBe(250);
    expect(await taken()).toContain("Again, taken");
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: Again, taken: archive"]);
    expect(await givenBack()).toEqual([]);
  });

  it("and came again and was given back, does not wait, whichever octets are met first", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Again, given back" });
    await send([ANN], octets, { env: brokenIndex });
    await send([ANN], octets);
    expect(await givenBack()).toEqual(["Again, given back"]);
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: Again, given back: archive"]);
    expect(await givenBack()).toEqual([]);
  });

  it("waits where its sender's next try was taken for a repeat of it", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Written all the same" });
    // D1 writes it and does not answer.
    const silent = new Proxy(env.SHARD_0, {
      get: (db, name) =>
        name === "batch"
          ? async (statements: D1PreparedStatement[]) => {
              await db.batch(statements);
              throw new Error("the network is gone");
            }
          : bind(db, name),
    });
    expect((await send([ANN], octets, { env: { ...env, SHARD_0: silent } as Env })).final?.code).toBe(451);
    expect((await send([ANN], octets)).final?.text).toContain("Accepted before");
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: Written all the same: waiting"]);
    expect(await givenBack()).toEqual(["Written all the same"]);
  });
});

describe("a reindex", () => {
  it("changes nothing where nothing is missing, and reads no octets for it", async () => {
    await arrives(ANN, { Subject: "Waits" });
    await send([BOB], letter({ Subject: "Waits too" }));
    const before = await view();
    const MAIL = { ...bound(env.MAIL), get: down } as unknown as R2Bucket;
    expect(await reindex({ env: { ...env, MAIL } as Env })).toMatchObject({ present: 2, indexed: 0, problems: [] });
    expect(await view()).toEqual(before);
  });

  it("made twice makes one row", async () => {
    await arrives(ANN, { Subject: "Once" });
    await mode("normal");
    await send([ANN], letter({ Subject: "Taken once", "Message-ID": "" }));
    await loseShard();
    await reindex();
    const before = await view();
    await reindex();
    expect(await view()).toEqual(before);
    expect(before).toHaveLength(2);
  });

  it("that is only tried says what it would do and does nothing", async () => {
    await arrives(ANN, { Subject: "Dry" });
    await loseShard();
    expect(await reindex({ dryRun: true })).toMatchObject({ seen: 1, indexed: 1, waiting: 1 });
    expect(await view()).toEqual([]);
  });

  it("takes only what came since a time", async () => {
    await arrives(ANN, { Subject: "Today" });
    await loseShard();
    expect(await reindex({ since: Date.now() + 2 * 3600_000 })).toMatchObject({ seen: 0 });
    expect(await reindex({ since: Date.now() - 3600_000 })).toMatchObject({ indexed: 1 });
  });

  it("lets a message's sender come again where nobody knows whether the origin took it", async () => {
    const octets = letter({ Subject: "Broke off" });
    await workerDiesWith(octets);
    await workerDiesWith(octets);
    await reindex();
    expect(await view()).toEqual(["ann: Broke off: archive"]);
    expect((await send([ANN], octets)).final?.text).toContain("Accepted as");
    expect((await taken()).filter((subject) => subject === "Broke off")).toHaveLength(1);
  });

  it("takes the same message after more than five days for another one, as at arrival", async () => {
    const octets = letter({ Subject: "Yearly" });
    const day = 24 * 3600_000;
    await workerDiesWith(octets, Date.now() - 10 * day, "portal");
    await workerDiesWith(octets, Date.now() - 2 * day, "portal");
    await workerDiesWith(octets, Date.now() - day, "portal");
    expect(await reindex()).toMatchObject({ indexed: 2, repeats: 1 });
    expect(await reindex()).toMatchObject({ indexed: 0 });
    expect(await view()).toEqual(["ann: Yearly: waiting", "ann: Yearly: waiting"]);
  });

  it("ends with an error where the index does not answer, and the same step can be made again", async () => {
    await arrives(ANN, { Subject: "Later" });
    await loseShard();
    await expect(reindex({ env: brokenIndex })).rejects.toThrow("down");
    expect(await reindex()).toMatchObject({ indexed: 1, waiting: 1 });
  });

  it("ends with an error where a domain's object does not answer: what it knows must not be guessed", async () => {
    await arrives(ANN, { Subject: "Given back before" });
    expect(await givenBack()).toEqual(["Given back before"]);
    await loseShard();
    const DOMAIN = { getByName: () => ({ fates: down }) } as unknown as Env["DOMAIN"];
    await expect(reindex({ env: { ...env, DOMAIN } as Env })).rejects.toThrow("down");
    expect(await view()).toEqual([]);
  });

  it("leaves mail that comes while it runs as it is", async () => {
    await arrives(ANN, { Subject: "Before" });
    await loseShard();
    await arrives(ANN, { Subject: "Meanwhile" });
    await reindex();
    await arrives(ANN, { Subject: "After" });
    expect(await view()).toEqual(["ann: After: waiting", "ann: Before: waiting", "ann: Meanwhile: waiting"]);
    expect((await givenBack()).sort()).toEqual(["After", "Before", "Meanwhile"]);
  });

  it("waits for mail that may be under way", async () => {
    await send([ANN], letter({ Subject: "Just now" }));
    await loseShard();
    const { reindexStep } = await import("../../../src/worker/archive/reindex/step.ts");
    const options = { since: null, shard: null, dryRun: false };
    const first = await reindexStep(env as Env, { ...options, cursor: null }, Date.now());
    const second = await reindexStep(env as Env, { ...options, cursor: first?.cursor ?? "" }, Date.now());
    expect(second?.wait).toBeGreaterThan(0);
    expect(second).toMatchObject({ cursor: first?.cursor, counts: { indexed: 0 } });
    const late = await reindexStep(env as Env, { ...options, cursor: second?.cursor ?? "" }, Date.now() + 120_000);
    expect(late).toMatchObject({ wait: 0, counts: { indexed: 1 } });
  });

  it("tells of what it cannot place, and goes on", async () => {
    await env.MAIL.put("archive/2026-01-01/00/01KDW3A6G00000000000000000", "no envelope");
    await arrives(ANN, { Subject: "Behind it" });
    await loseShard();
    const { problems, indexed } = await reindex();
    expect(problems).toMatchObject([{ kind: "no_envelope" }]);
    expect(indexed).toBe(1);
  });
});

const down = () => {
  throw new Error("down");
};
const bind = (target: object, name: string | symbol): unknown => {
  const value = Reflect.get(target, name) as unknown;
  return typeof value === "function" ? value.bind(target) : value;
};
const bound = (bucket: R2Bucket) =>
  Object.fromEntries(["get", "put", "list", "head", "delete"].map((name) => [name, bind(bucket, name)]));
const planOf = (name: string) => (local: string) => (env.DOMAIN.getByName(name) as unknown as DomainRpc).plan(local);
const brokenIndex = {
  ...env,
  SHARD_0: new Proxy(env.SHARD_0, {
    get: (db, name) => (name === "batch" || name === "prepare" ? down : Reflect.get(db, name)),
  }),
} as Env;
