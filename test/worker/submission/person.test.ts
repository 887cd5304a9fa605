/** A person's mail program on a submission port. */
import { beforeAll, beforeEach, expect, it } from "vitest";
import type { Submitter } from "../../../src/core/protocol/gateway/frames.ts";
import { asOperator } from "../access/client.ts";
import { createSender, flush, folder, type Sender, text } from "../send/sending.ts";
import { letter, submitAs, ticket } from "./client.ts";

const D = "people.example.org";
const OUTSIDE = "zoe@example.net";
let sender: Sender;
let ann: { shown: Submitter };

beforeAll(async () => {
  sender = await createSender(D);
  ann = { shown: await ticket(`Ann@${D}`) };
});
beforeEach(async () => {
  await flush(D);
  await sender.smartHost.forget();
});

it("sends from their own address and their alias, with a copy in Sent and in the archive", async () => {
  for (const from of [`ann@${D}`, `Sales@${D}`, `ann+list@${D}`]) {
    expect(
      (await submitAs(ann, from, [OUTSIDE], letter(`Ann <${from}>`, { subject: "By program" }))).final,
    ).toMatchObject({ code: 250 });
  }
  await flush(D);
  expect((await sender.smartHost.messages()).map(({ from }) => from).sort()).toEqual([
    `Sales@${D}`,
    `ann+list@${D}`,
    `ann@${D}`,
  ]);
  expect(await folder(sender.ann, "sent")).toMatchObject([{ subject: "By program" }, {}, {}]);
  const archived = await asOperator("GET", `/api/archive?mailbox=ann@${D}&q=program&direction=out`);
  expect(archived.body.items).toHaveLength(3);
});

it("tells nobody where they are, and whom they have sent blind copies to", async () => {
  const octets = letter(`ann@${D}`, { fields: ["Bcc: secret@example.net"] });
  await submitAs({ ...ann, ip: "198.41.9.9" }, `ann@${D}`, [OUTSIDE, "secret@example.net"], octets);
  await flush(D);
  const [message] = await sender.smartHost.messages();
  const raw = text(message?.raw ?? new Uint8Array());
  expect(message?.to).toEqual([OUTSIDE, "secret@example.net"]);
  expect(raw).not.toContain("198.41.9.9");
  expect(raw).not.toMatch(/^bcc:/im);
});

it.each<[string, string]>([
  ["a colleague", `bob@${D}`],
  ["a stranger", "boss@example.com"],
  ["another name at their domain", `nobody@${D}`],
  ["their name at another domain", "ann@example.com"],
])("may not send as %s, in the envelope or in the header", async (_name, from) => {
  expect((await submitAs(ann, from, [OUTSIDE], letter(from))).mail).toMatchObject({ code: 550, enhanced: "5.7.1" });
  const said = await submitAs(ann, `ann@${D}`, [OUTSIDE], letter(from));
  expect(said.final).toMatchObject({ code: 550, enhanced: "5.7.1", text: expect.stringContaining("from") });
  expect(await sender.smartHost.messages()).toEqual([]);
});

it.each<[string, string]>([
  ["two From fields", letter(`ann@${D}`, { fields: ["From: boss@example.com"] })],
  ["two people in From", letter(`ann@${D}, boss@example.com`)],
  ["no From", letter("")],
  ["somebody else in Sender", letter(`ann@${D}`, { fields: ["Sender: boss@example.com"] })],
])("a message with %s is refused", async (_name, octets) => {
  expect((await submitAs(ann, `ann@${D}`, [OUTSIDE], octets)).final).toMatchObject({ code: 550, enhanced: "5.7.1" });
});

it("a report of their program has no envelope sender", async () => {
  expect((await submitAs(ann, "", [OUTSIDE], letter(`ann@${D}`))).final).toMatchObject({ code: 250 });
});

it("a person whose login was taken away sends no more", async () => {
  await asOperator("PUT", `/api/domains/${D}/mailboxes/bob@${D}`, { password: "correct horse battery" });
  const bob = { shown: await ticket(`bob@${D}`) };
  expect((await submitAs(bob, `bob@${D}`, [OUTSIDE], letter(`bob@${D}`))).final).toMatchObject({ code: 250 });
  await asOperator("PUT", `/api/domains/${D}/mailboxes/bob@${D}`, { password: null });
  expect((await submitAs(bob, `bob@${D}`, [OUTSIDE], letter(`bob@${D}`))).mail).toMatchObject({ code: 530 });
});
