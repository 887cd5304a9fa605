/** An index that is older than what was done since, and mail that is older than the archive. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { newKey, putRaw } from "../../../src/worker/archive/raw.ts";
import { purge } from "../../../src/worker/archive/retention.ts";
import { openDatabase } from "../../../src/worker/domain/database.ts";
import { Flights } from "../../../src/worker/failback/flights.ts";
import { json } from "../access/client.ts";
import { belowOurs, letter } from "../receive/organisation.ts";
import {
  ANN,
  ann,
  arrives,
  DOMAIN,
  givenBack,
  inbox,
  type Listed,
  organisation,
  useOrganisation,
  view,
} from "./lost-organisation.ts";
import { loseShard, reindex } from "./lost-shard.ts";

const day = 24 * 3600_000;

useOrganisation();

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
