/** The run that makes an index anew: again, in part, interrupted, and while mail comes. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { newKey, putRaw } from "../../../src/worker/archive/raw.ts";
import { reindexStep } from "../../../src/worker/archive/reindex/step.ts";
import type { Env } from "../../../src/worker/env.ts";
import { down, withCalls } from "../broken.ts";
import { letter, send } from "../receive/organisation.ts";
import {
  ANN,
  arrives,
  BOB,
  brokenIndex,
  DOMAIN,
  givenBack,
  mode,
  taken,
  useOrganisation,
  view,
  workerDiesWith,
} from "./lost-organisation.ts";
import { loseShard, reindex } from "./lost-shard.ts";

useOrganisation();

describe("a reindex", () => {
  it("changes nothing where nothing is missing, and reads no octets for it", async () => {
    await arrives(ANN, { Subject: "Waits" });
    await send([BOB], letter({ Subject: "Waits too" }));
    const before = await view();
    const MAIL = withCalls(env.MAIL, { get: down("R2") });
    expect(await reindex({ env: { ...env, MAIL } as Env })).toMatchObject({ present: 2, indexed: 0, problems: [] });
    expect(await view()).toEqual(before);
  });

  it("leaves alone what nobody's archive had, such as a vacation notice that was sent", async () => {
    const { key, id } = newKey(Date.now());
    await putRaw(env.MAIL, key, letter({ Subject: "Auto: Hello" }), {
      receipt: { id, at: Date.now(), host: "mx.holdfast.test", client: { ip: "", helo: "", protocol: "ESMTP" } },
      direction: "out",
      domain: DOMAIN,
      from: "",
      recipients: ["friend@example.net"],
      body: "7BIT",
      smtputf8: false,
      archived: false,
    });
    expect(await reindex()).toMatchObject({ indexed: 0, nobody: 0, problems: [] });
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
    const DOMAIN = { getByName: () => ({ fates: down("the object") }) } as unknown as Env["DOMAIN"];
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
