/** An index that was lost is made anew: nothing that waited is lost, and nothing is queued that the origin or a person has settled. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { DomainRpc } from "../../../src/worker/domain/contract.ts";
import type { Env } from "../../../src/worker/env.ts";
import { asOperator, json } from "../access/client.ts";
import { down } from "../broken.ts";
import { letter, must, send } from "../receive/organisation.ts";
import {
  ANN,
  ann,
  arrives,
  BOB,
  DOMAIN,
  failback,
  givenBack,
  inbox,
  type Listed,
  mode,
  organisation,
  useOrganisation,
  view,
} from "./lost-organisation.ts";
import { loseShard, reindex } from "./lost-shard.ts";

useOrganisation();

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
    const deaf = {
      getByName: (name: string) => ({
        plan: (local: string) => (env.DOMAIN.getByName(name) as unknown as DomainRpc).plan(local),
        report: down("the object"),
      }),
    };
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

  it("mail has its structure, and its conversation, as before", async () => {
    const rows = async () => {
      const sql =
        "SELECT subject, structure, dense_rank() OVER (ORDER BY thread) AS thread FROM message ORDER BY subject";
      const { results } = await env.SHARD_0.prepare(sql).all<{ structure: string | null; thread: number }>();
      return results;
    };
    await send([ANN], letter({ Subject: "Lunch", "Message-ID": "<lunch@example.net>" }));
    await send([ANN], letter({ Subject: "Re: Lunch", "In-Reply-To": "<lunch@example.net>" }));
    const before = await rows();
    expect(before.map(({ structure }) => structure?.startsWith('{"v":'))).toEqual([true, true]);
    expect(new Set(before.map(({ thread }) => thread)).size).toBe(1);
    await loseShard();
    await reindex();
    expect(await rows()).toEqual(before);
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
