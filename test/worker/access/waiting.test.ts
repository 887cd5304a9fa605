/** Design, "Failback": what is taken away while mail of theirs waits. */
import { env, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { asOperator, call, OPERATOR, ORIGIN } from "./client.ts";
import { deposit } from "./deposit.ts";

let count = 0;
let domain = "";
let boxes = "";
const backlog = async () => (await asOperator("GET", `/api/domains/${domain}`)).body.backlog;
beforeEach(async () => {
  count += 1;
  domain = `d${count}.example.org`;
  boxes = `/api/domains/${domain}/mailboxes`;
  await asOperator("PUT", `/api/domains/${domain}`, {
    continuity: true,
    origin: { host: "127.0.0.1", port: 9, tls: "none" },
  });
  await asOperator("PUT", `/api/domains/${domain}/mode`, { mode: "emergency" });
  await asOperator("PUT", `${boxes}/alice@${domain}`, { aliases: ["info", "sales"] });
  await asOperator("PUT", `${boxes}/bob@${domain}`, { aliases: ["info"] });
});

const live = (address: string) =>
  env.DIRECTORY.prepare("SELECT id FROM mailbox WHERE address = ?1")
    .bind(address)
    .first<number>("id")
    .then((id) =>
      env.SHARD_0.prepare(
        "SELECT count(*) AS messages, coalesce(sum(waiting > 0), 0) AS waiting FROM placement WHERE account = ?1 AND gone IS NULL",
      )
        .bind(id)
        .first<{ messages: number; waiting: number }>(),
    );

describe("taking a mailbox away while mail of theirs waits", () => {
  it("answers 409 with the count, and changes nothing", async () => {
    await deposit({ mailbox: `alice@${domain}` });
    await deposit({ mailbox: `alice@${domain}`, to: `info@${domain}` });
    const { status, body } = await asOperator("DELETE", `${boxes}/alice@${domain}`);
    expect([status, body.code, body.waiting]).toEqual([409, "waiting_mail", 2]);
    expect(body.detail).toBe(
      `2 messages for the mailbox alice@${domain} still wait for the mail server. Repeat with ?waiting=deliver, keep or discard.`,
    );
    expect((await asOperator("GET", `${boxes}/alice@${domain}`)).status).toBe(200);
    expect(await backlog()).toEqual({ waiting: 2, refused: 0 });
  });

  it("deliver: it still waits, and the mailbox is gone", async () => {
    await deposit({ mailbox: `alice@${domain}` });
    expect((await asOperator("DELETE", `${boxes}/alice@${domain}?waiting=deliver`)).status).toBe(204);
    expect(await backlog()).toEqual({ waiting: 1, refused: 0 });
  });

  it("discard: it waits no more, and the event says how many", async () => {
    await deposit({ mailbox: `alice@${domain}` });
    expect((await asOperator("DELETE", `${boxes}/alice@${domain}?waiting=discard`)).status).toBe(204);
    expect(await backlog()).toEqual({ waiting: 0, refused: 0 });
    const events = await asOperator("GET", `/api/domains/${domain}/events`);
    expect(events.body.items).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          kind: "waiting_mail_discarded",
          actor: "token",
          data: expect.objectContaining({ messages: 1 }),
        }),
      ]),
    );
  });

  it("does not take any other word", async () => {
    const { status, body } = await asOperator("DELETE", `${boxes}/alice@${domain}?waiting=drop`);
    expect([status, body.detail]).toEqual([400, "waiting: must be one of: deliver, keep, discard"]);
  });

  it("answers 409 while one of them is being sent", async () => {
    const { key, envelope } = await deposit({ mailbox: `alice@${domain}` });
    await runInDurableObject(env.DOMAIN.getByName(domain), (_object, state) => {
      state.storage.sql.exec(
        "INSERT INTO flight (key, state, slot, at) VALUES (?, 'sending', 1, 1)",
        flightKey(key, envelope.to),
      );
    });
    const { status, body } = await asOperator("DELETE", `${boxes}/alice@${domain}?waiting=discard`);
    expect([status, body.code]).toEqual([409, "being_delivered"]);
    expect((await asOperator("GET", `${boxes}/alice@${domain}`)).status).toBe(200);
    expect(await backlog()).toEqual({ waiting: 1, refused: 0 });
  });
});

describe("taking an alias away while mail for it waits", () => {
  it("answers 409 for that mail alone, plus-addresses with it", async () => {
    await deposit({ mailbox: `alice@${domain}` });
    await deposit({ mailbox: `alice@${domain}`, to: `Info+news@${domain}` });
    const { status, body } = await asOperator("PUT", `${boxes}/alice@${domain}`, { aliases: ["sales"] });
    expect([status, body.waiting]).toEqual([409, 1]);
    expect((await asOperator("PUT", `${boxes}/alice@${domain}`, { aliases: ["info"] })).status).toBe(200);
  });

  it("keep: that mail stays in the inbox and waits no more; the other holder's copy still waits", async () => {
    const { key } = await deposit({ mailbox: `alice@${domain}`, to: `info@${domain}` });
    await deposit({ mailbox: `bob@${domain}`, to: `info@${domain}`, key });
    const { status } = await asOperator("PUT", `${boxes}/alice@${domain}?waiting=keep`, { aliases: [] });
    expect(status).toBe(200);
    expect(await live(`alice@${domain}`)).toEqual({ messages: 1, waiting: 0 });
    expect(await live(`bob@${domain}`)).toEqual({ messages: 1, waiting: 1 });
  });
});

describe("taking coverage away while mail waits", () => {
  it("of a mailbox of the chosen ones answers 409", async () => {
    await asOperator("PUT", `/api/domains/${domain}`, { coverage: "selected" });
    await deposit({ mailbox: `alice@${domain}` });
    const { status, body } = await asOperator("PUT", `${boxes}/alice@${domain}`, { covered: false });
    expect([status, body.waiting]).toEqual([409, 1]);
    expect((await asOperator("PUT", `${boxes}/alice@${domain}?waiting=keep`, { covered: false })).status).toBe(200);
    expect(await live(`alice@${domain}`)).toEqual({ messages: 1, waiting: 0 });
  });

  it("of a mailbox where every one is covered changes nothing, so nothing is asked", async () => {
    await deposit({ mailbox: `alice@${domain}` });
    expect((await asOperator("PUT", `${boxes}/alice@${domain}`, { covered: false })).status).toBe(200);
  });

  it("of all that are not chosen answers 409", async () => {
    await asOperator("PUT", `${boxes}/bob@${domain}`, { covered: false });
    await deposit({ mailbox: `alice@${domain}` });
    await deposit({ mailbox: `bob@${domain}` });
    const { status, body } = await asOperator("PUT", `/api/domains/${domain}`, { coverage: "selected" });
    expect([status, body.waiting]).toEqual([409, 1]);
    expect((await asOperator("GET", `/api/domains/${domain}`)).body.coverage).toBe("all");
    expect((await asOperator("PUT", `/api/domains/${domain}?waiting=discard`, { coverage: "selected" })).status).toBe(
      200,
    );
    expect(await live(`bob@${domain}`)).toEqual({ messages: 0, waiting: 0 });
    expect(await live(`alice@${domain}`)).toEqual({ messages: 1, waiting: 1 });
  });

  it("of the whole domain answers 409, and the panel asks what becomes of the mail", async () => {
    await deposit({ mailbox: `alice@${domain}` });
    await deposit({ mailbox: `bob@${domain}` });
    const { status, body } = await asOperator("PUT", `/api/domains/${domain}`, { continuity: false });
    expect([status, body.waiting]).toEqual([409, 2]);
    const form = { coverage: "all", switching: "manual", host: "127.0.0.1", port: "9", tls: "none" };
    const post = (fields: Record<string, string>) =>
      call("POST", `/panel/domains/${domain}`, {
        token: OPERATOR,
        body: new URLSearchParams(fields).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN },
      });
    const asked = await post(form);
    expect(asked.status).toBe(409);
    expect(await asked.text()).toContain("The 2 messages that still wait");
    expect((await post({ ...form, waiting: "keep" })).status).toBe(303);
    expect((await asOperator("GET", `/api/domains/${domain}`)).body).toMatchObject({
      continuity: false,
      backlog: { waiting: 0 },
    });
  });
});
