/** Identities: names, signatures and reply addresses of a person, and what is sent under them. */
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_IDENTITIES } from "../../../src/core/send/limits.ts";
import { must } from "../receive/organisation.ts";
import { createSender, flush, type Sender, text, write } from "../send/sending.ts";
import { type Json, json } from "./client.ts";

let sender: Sender;
const OWN = {
  id: "own",
  name: "",
  email: "ann@who.example.org",
  replyTo: [],
  bcc: [],
  textSignature: "",
  htmlSignature: "",
  isDefault: true,
  mayDelete: false,
};

beforeAll(async () => {
  sender = await createSender("who.example.org");
});

const list = async (token = sender.ann) => (await json("GET", "/api/mail/identities", { token })).body.items as Json[];
const make = (body: Json, headers = {}) => json("POST", "/api/mail/identities", { token: sender.ann, body, headers });
const change = (id: unknown, body: Json, token = sender.ann) =>
  json("PATCH", `/api/mail/identities/${String(id)}`, { token, body });
const remove = (id: unknown, token = sender.ann) => json("DELETE", `/api/mail/identities/${String(id)}`, { token });

async function sent(message: Json) {
  await sender.smartHost.forget();
  const answer = await write(sender.ann, { to: ["zoe@example.net"], text: "Hello", ...message });
  expect(answer.status).toBe(201);
  await flush(sender.domain);
  const [mail] = await sender.smartHost.messages();
  return { from: mail?.from, to: mail?.to, raw: text(mail?.raw ?? new Uint8Array()) };
}

describe("a mailbox's identities", () => {
  it("have that of its own address, whatever else there is; it can be changed and not deleted", async () => {
    expect(await list()).toEqual([OWN]);
    const set = { name: "Ann", textSignature: "-- \nAnn", htmlSignature: "<b>Ann</b>" };
    expect(await change("own", set)).toMatchObject({ status: 200, body: { ...OWN, ...set } });
    expect(await change("own", { replyTo: [{ address: "a@example.com" }] })).toMatchObject({
      body: { ...OWN, ...set, replyTo: [{ name: "", address: "a@example.com" }] },
    });
    expect(await remove("own")).toMatchObject({ status: 409, body: { code: "fixed" } });
    expect(await change("own", { email: "sales@who.example.org" })).toMatchObject({ status: 409 });
    expect(await change("own", { replyTo: [] })).toMatchObject({ status: 200 });
  });

  it("can be more, for aliases; one is the default, and with it gone the own one is again", async () => {
    const made = await make({ email: "sales@who.example.org", name: "Sales", isDefault: true });
    expect(made).toMatchObject({ status: 201, body: { name: "Sales", isDefault: true, mayDelete: true } });
    expect((await list()).map(({ isDefault }) => isDefault)).toEqual([false, true]);
    expect((await change("own", { isDefault: true })).status).toBe(200);
    expect((await list()).map(({ isDefault }) => isDefault)).toEqual([true, false]);
    await change(made.body.id, { isDefault: true });
    expect((await remove(made.body.id)).status).toBe(204);
    expect((await remove(made.body.id)).status).toBe(404);
    expect((await list()).map(({ id, isDefault }) => [id, isDefault])).toEqual([["own", true]]);
  });

  it("are made once where a request is repeated", async () => {
    const headers = { "idempotency-key": "one" };
    const first = await make({ email: "ann@who.example.org", name: "Once" }, headers);
    const again = await make({ email: "ann@who.example.org", name: "Once" }, headers);
    expect(again).toEqual(first);
    expect(await list()).toHaveLength(2);
    await remove(first.body.id);
  });

  it.each([
    [{ email: "bob@who.example.org" }, "email"],
    [{ email: "ann@elsewhere.example" }, "email"],
    [{ email: "ann@who.example.org", name: "Ann\r\nBcc: x@example.net" }, "name"],
    [{ email: "ann@who.example.org", replyTo: [{ address: "nobody" }] }, "replyTo"],
    [{ email: "ann@who.example.org", bcc: [{ name: "a\nb", address: "a@example.net" }] }, "bcc"],
    [{}, "email"],
  ])("cannot be %j", async (body, field) => {
    const answer = await make(body);
    expect([answer.status, (answer.body.errors as { field: string }[])[0]?.field]).toEqual([422, field]);
    expect(await list()).toHaveLength(1);
  });

  it("are nobody else's", async () => {
    const { body } = await make({ email: "sales@who.example.org" });
    expect((await change(body.id, { name: "Bob" }, sender.bob)).status).toBe(404);
    expect((await remove(body.id, sender.bob)).status).toBe(404);
    expect(await list(sender.bob)).toHaveLength(1);
    expect(await list()).toHaveLength(2);
    await remove(body.id);
  });

  it("go with their alias, and come back with it", async () => {
    const { body } = await make({ email: "sales@who.example.org", isDefault: true });
    await must("PUT", "/api/domains/who.example.org/mailboxes/ann@who.example.org", { aliases: [] });
    expect((await list()).map(({ id, isDefault }) => [id, isDefault])).toEqual([["own", true]]);
    expect((await write(sender.ann, { identity: body.id, to: ["a@example.net"] })).status).toBe(422);
    await must("PUT", "/api/domains/who.example.org/mailboxes/ann@who.example.org", {
      aliases: ["sales@who.example.org"],
    });
    expect(await list()).toHaveLength(2);
    await remove(body.id);
  });

  it("are so many at most", async () => {
    const own = (await list()).length;
    for (let count = own; count <= MAX_IDENTITIES; count++) {
      expect((await make({ email: "ann@who.example.org" })).status).toBe(201);
    }
    expect(await make({ email: "ann@who.example.org" })).toMatchObject({ status: 409, body: { code: "too_many" } });
    for (const { id, mayDelete } of await list()) if (mayDelete) await remove(id);
  });
});

describe("a message", () => {
  it("is from the identity that it names: its name, address, reply and blind copy", async () => {
    const { body } = await make({
      email: "sales@who.example.org",
      name: "Sälés",
      replyTo: [{ name: "Desk", address: "desk@example.com" }],
      bcc: [{ address: "records@example.com" }],
      textSignature: "-- \nSales",
    });
    const { from, to, raw } = await sent({ identity: body.id });
    expect(from).toBe("sales@who.example.org");
    expect(to).toEqual(["zoe@example.net", "records@example.com"]);
    expect(raw).toContain("From: =?UTF-8?Q?S=C3=A4l=C3=A9s?= <sales@who.example.org>\r\n");
    expect(raw).toContain("Reply-To: Desk <desk@example.com>\r\n");
    expect(raw).not.toContain("records@example.com");
    // What is sent is what its writer has seen.
    expect(raw).not.toContain("-- ");
    expect((await sent({ identity: body.id, replyTo: ["me@example.com"] })).raw).toContain(
      "Reply-To: me@example.com\r\n",
    );
    await change(body.id, { isDefault: true });
    expect((await sent({})).from).toBe("sales@who.example.org");
    expect((await sent({ from: "Ann <ann@who.example.org>" })).raw).toContain("From: Ann <ann@who.example.org>\r\n");
    await remove(body.id);
  });

  it("is from the mailbox's own address, with its name, where nothing is said", async () => {
    await change("own", { name: "Ann Own" });
    expect((await sent({})).raw).toContain("From: Ann Own <ann@who.example.org>\r\n");
  });

  it.each([{ identity: "none" }, { identity: "own", from: "ann@who.example.org" }])(
    "cannot be written under %j",
    async (message) => {
      const answer = await write(sender.ann, { to: ["a@example.net"], ...message });
      expect([answer.status, (answer.body.errors as { field: string }[])[0]?.field]).toEqual([422, "identity"]);
    },
  );
});
