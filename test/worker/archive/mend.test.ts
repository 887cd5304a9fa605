/** An archive copy that lacks its row is mended from the octets that were kept. */
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { mendArchive } from "../../../src/worker/archive/mend.ts";
import type { Env } from "../../../src/worker/env.ts";
import { asOperator } from "../access/client.ts";
import { createOrganisation, kept, letter, must, type Organisation, octetsIn, send } from "../receive/organisation.ts";

const DOMAIN = "mend.example";
const HOUR = 3600_000;
let organisation: Organisation;

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
});
beforeEach(async () => {
  await organisation.origin.set({});
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "normal" });
});

const down = () => {
  throw new Error("D1 is down");
};
const brokenIndex: Env = {
  ...(env as Env),
  SHARD_0: new Proxy(env.SHARD_0, {
    get: (db, name) => (name === "batch" || name === "prepare" ? down : Reflect.get(db, name)),
  }),
};

async function mend(later: number, of: Env = env as Env) {
  const ctx = createExecutionContext();
  const result = await mendArchive(of, ctx, Date.now() + later);
  await waitOnExecutionContext(ctx);
  return result;
}
const rows = async (subject: string) => (await kept(DOMAIN)).filter((row) => row.subject === subject);

describe("a message that the origin took while the index was down", () => {
  it("is in the archive of each covered recipient an hour later, in no inbox, and once", async () => {
    const octets = letter({ Subject: "Mended" });
    await send([`Ann+tag@${DOMAIN.toUpperCase()}`, `bob@${DOMAIN}`], octets, { env: brokenIndex });
    expect(await rows("Mended")).toEqual([]);
    expect(await mend(HOUR)).toEqual({ mended: 1, failed: 0 });
    const mended = await rows("Mended");
    expect(mended.map(({ mailbox, inInbox }) => [mailbox, inInbox])).toEqual([
      ["ann", false],
      ["bob", false],
    ]);
    expect(await octetsIn(mended[0]?.key ?? "")).toEqual(octets);
    const { body } = await asOperator("GET", `/api/domains/${DOMAIN}/events`);
    expect((body as { items: { kind: string }[] }).items[0]?.kind).toBe("archive_copy_mended");
    expect(await mend(2 * HOUR)).toEqual({ mended: 0, failed: 0 });
    expect(await rows("Mended")).toHaveLength(2);
  });

  it("is mended the next time where the index is down still", async () => {
    await send([`ann@${DOMAIN}`], letter({ Subject: "Later" }), { env: brokenIndex });
    await expect(mend(HOUR, brokenIndex)).rejects.toThrow("D1 is down");
    expect(await mend(2 * HOUR)).toEqual({ mended: 1, failed: 0 });
    expect(await rows("Later")).toHaveLength(1);
  });
});

it("mail whose sender was told to come again is not taken for archived mail", async () => {
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
  const octets = letter({ Subject: "Comes again" });
  expect((await send([`ann@${DOMAIN}`], octets, { env: brokenIndex })).final?.code).toBe(451);
  expect(await mend(HOUR)).toEqual({ mended: 0, failed: 0 });
  expect((await send([`ann@${DOMAIN}`], octets)).final?.code).toBe(250);
  expect((await rows("Comes again")).map(({ inInbox }) => inInbox)).toEqual([true]);
});

it("mail of this hour, that may be under way, is let alone", async () => {
  await send([`ann@${DOMAIN}`], letter({ Subject: "Under way" }), { env: brokenIndex });
  expect(await mend(0)).toEqual({ mended: 0, failed: 0 });
});
