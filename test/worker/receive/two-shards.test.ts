/** One message for mailboxes on two shards, one of which fails: its sender comes again, and the origin gets it once. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { Scene } from "../faults/scene.ts";
import { subjectOf } from "../faults/sender.ts";
import { letter, objectsInStore, send, sendByEmailRouting } from "./organisation.ts";

/** Ann is on the first shard, Bob on the second; info@ is both. */
let scene: Scene;
let info = "";

beforeAll(async () => {
  scene = await Scene.open({ shards: { bob: 1 } });
  info = scene.address("info");
});

const broken = (db: D1Database, ...methods: readonly ("batch" | "prepare")[]): D1Database =>
  new Proxy(db, {
    get(target, name) {
      if (methods.some((method) => method === name))
        return () => {
          throw new Error("this shard is down");
        };
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
const WRITES: Env = { ...(env as Env), ...{ SHARD_1: broken(env.SHARD_1, "batch") } };
const BOTH: Env = { ...(env as Env), ...{ SHARD_1: broken(env.SHARD_1, "batch", "prepare") } };

const LARGE = `${"A line of text.\r\n".repeat(70_000)}`;
const code = async (to: readonly string[], octets: Uint8Array, at?: Env) =>
  (await send(to, octets, at ? { env: at } : {})).final?.code;
const inbox = async (octets: Uint8Array) => (await scene.kept(subjectOf(octets))).inInbox;
const archive = async (octets: Uint8Array) => (await scene.kept(subjectOf(octets))).inArchive;

/** The origin is well again, and what waits is given back. */
async function givenBack(): Promise<void> {
  await scene.repair();
  await scene.rest();
}

async function expectOnce(octets: Uint8Array, to: readonly string[] = [info]): Promise<void> {
  await givenBack();
  expect(await scene.atOrigin(octets, to)).toEqual(to.map(() => 1));
  expect(await archive(octets)).toEqual({ ann: 1, bob: 1, dan: 0 });
  expect(await inbox(octets)).toEqual({ ann: 0, bob: 0, dan: 0 });
}

describe("a message for an alias of two mailboxes, of whose shards one failed at the first try", () => {
  describe("in emergency mode", () => {
    beforeEach(() => scene.begin({ mode: "emergency" }));

    it("is in both inboxes after the second, and goes back once", async () => {
      const octets = letter();
      expect(await code([info], octets, WRITES)).toBe(451);
      expect(await inbox(octets)).toEqual({ ann: 1, bob: 0, dan: 0 });
      expect(await code([info], octets)).toBe(250);
      expect(await inbox(octets)).toEqual({ ann: 1, bob: 1, dan: 0 });
      await expectOnce(octets);
      // Both have the octets of the first try.
      expect(await objectsInStore()).toBe(1);
    });

    it("is no other message for having another trace on top, as Email Routing puts it there", async () => {
      const octets = letter({ Received: "from desk by mail.example.net; Tue, 24 Nov 2026 09:00:00 +0000" });
      const top =
        "Received: from mail.example.net (192.0.2.7)\r\n by cloudflare-email.net id second; longer than before\r\n";
      const again = new Uint8Array([...new TextEncoder().encode(top), ...octets]);
      const first = await sendByEmailRouting(info, octets, undefined, {}, WRITES);
      expect(first.kind).toBe("temporary");
      expect(await sendByEmailRouting(info, again)).toMatchObject({ kind: "accepted" });
      await expectOnce(octets);
      expect(await scene.atOrigin(again, [info])).toEqual([0]);
    });

    it("is known too where that shard does not even say what it has", async () => {
      const octets = letter();
      for (let tries = 0; tries < 2; tries++) expect(await code([info], octets, BOTH)).toBe(451);
      expect(await code([info], octets)).toBe(250);
      await expectOnce(octets);
    });

    it("waits for the second mailbox too where a person has taken it out of the first one's inbox meanwhile", async () => {
      const octets = letter();
      expect(await code([info], octets, WRITES)).toBe(451);
      await env.SHARD_0.prepare("UPDATE placement SET gone = 1, waiting = NULL WHERE account = ?1 AND gone IS NULL")
        .bind(scene.mailbox("ann").account)
        .run();
      expect(await code([info], octets)).toBe(250);
      expect(await inbox(octets)).toEqual({ ann: 0, bob: 1, dan: 0 });
      await expectOnce(octets);
    });

    it("leaves the second mailbox's inbox unsent where it was given back to the origin before its sender came again", async () => {
      const octets = letter();
      expect(await code([info], octets, WRITES)).toBe(451);
      await givenBack();
      expect(await scene.atOrigin(octets, [info])).toEqual([1]);
      expect(await code([info], octets)).toBe(250);
      await expectOnce(octets);
    });
  });

  describe("in normal mode", () => {
    it.each([
      ["a small one", undefined],
      ["a large one", LARGE],
    ])("and which the origin could not take then: %s goes to it once, by redelivery", async (_what, body) => {
      await scene.begin({ origin: { steps: { final: "451 4.3.0 not now" } } });
      const octets = letter({}, body);
      expect(await code([info], octets, WRITES)).toBe(451);
      await scene.mend({});
      expect(await code([info], octets)).toBe(250);
      expect(await inbox(octets)).toEqual({ ann: 1, bob: 1, dan: 0 });
      expect(await scene.atOrigin(octets, [info])).toEqual([0]);
      await expectOnce(octets);
    });

    it("is taken by the origin at once where the shard still fails, and not a second time for what waits", async () => {
      await scene.begin({ origin: { steps: { final: "451 4.3.0 not now" } } });
      const octets = letter();
      expect(await code([info], octets, WRITES)).toBe(451);
      await scene.mend({});
      expect(await code([info], octets, BOTH)).toBe(250);
      expect(await scene.atOrigin(octets, [info])).toEqual([1]);
      await givenBack();
      expect(await scene.atOrigin(octets, [info])).toEqual([1]);
      expect(await inbox(octets)).toEqual({ ann: 0, bob: 0, dan: 0 });
    });

    it("is not sent again for the archive copy that the shard did not take", async () => {
      await scene.begin({});
      const octets = letter();
      expect(await code([info], octets, WRITES)).toBe(250);
      expect(await archive(octets)).toEqual({ ann: 1, bob: 0, dan: 0 });
      // Its sender has not heard us.
      expect(await code([info], octets)).toBe(250);
      await expectOnce(octets);
    });

    it("has the archive copy that the shard did not take an hour later, and that of nobody else", async () => {
      await scene.begin({});
      const octets = letter();
      const whole = letter();
      expect(await code([info], octets, WRITES)).toBe(250);
      expect(await code([info], whole)).toBe(250);
      await scene.sweep();
      expect(await archive(octets)).toEqual({ ann: 1, bob: 1, dan: 0 });
      expect(await inbox(octets)).toEqual({ ann: 0, bob: 0, dan: 0 });
      expect(await archive(whole)).toEqual({ ann: 1, bob: 1, dan: 0 });
      const mended = async () => (await scene.events()).filter(({ kind }) => kind === "archive_copy_mended").length;
      expect(await mended()).toBe(1);
      await scene.sweep();
      expect(await mended()).toBe(1);
    });
  });
});

describe("a message for two recipients on two shards, of which one failed at the first try", () => {
  it.each([
    ["a small one", undefined],
    ["a large one", LARGE],
  ])("and which the origin could not take then: %s reaches each of them once", async (_what, body) => {
    await scene.begin({ origin: { steps: { final: "451 4.3.0 not now" } } });
    const both = [scene.address("ann"), scene.address("bob")];
    const octets = letter({}, body);
    expect(await code(both, octets, WRITES)).toBe(451);
    await scene.mend({});
    expect(await code(both, octets)).toBe(250);
    expect(await inbox(octets)).toEqual({ ann: 1, bob: 1, dan: 0 });
    await givenBack();
    expect(await scene.atOrigin(octets, both)).toEqual([1, 1]);
    expect(await archive(octets)).toEqual({ ann: 1, bob: 1, dan: 0 });
  });
});
