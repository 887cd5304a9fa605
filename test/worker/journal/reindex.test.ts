/** The index of journalled mail is made anew from what lies in R2: the same rows, so that a report that comes again is known. */
import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import { loseShard, reindex } from "../archive/lost-shard.ts";
import { createOrganisation, must, send } from "../receive/organisation.ts";

const D = "journal-reindex.example.org";
const ann = `ann@${D}`;
const bob = `bob@${D}`;

interface Row {
  readonly account: number;
  readonly direction: string;
  readonly mid: string;
  readonly once: string;
  readonly key: string;
}

async function rows(): Promise<Row[]> {
  const all = env.SHARD_0.prepare("SELECT account, direction, mid, once, key FROM message ORDER BY account, direction");
  return (await all.all<Row>()).results;
}

it("after its shard was lost, outgoing and incoming copies are there again, and a repeat of the report changes nothing", async () => {
  await createOrganisation(D);
  const made = await must("POST", `/api/domains/${D}/journal-addresses`, { format: "reports" });
  const message = `From: ${ann}\r\nTo: ${ann}, ${bob}, zoe@example.net\r\nSubject: Again\r\nMessage-ID: <again@${D}>\r\n\r\nHello.\r\n`;
  const report = [
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain",
    "",
    `Sender: ${ann}`,
    `To: ${ann}`,
    `To: ${bob}`,
    "Recipient: zoe@example.net",
    "--b",
    "Content-Type: message/rfc822",
    "",
    message,
    "--b--",
    "",
  ].join("\r\n");
  const octets = new Uint8Array(new TextEncoder().encode(report));
  const deliver = async () => expect((await send([String(made.address)], octets)).final?.code).toBe(250);
  await deliver();
  const before = await rows();
  expect(before.map(({ direction }) => direction).sort()).toEqual(["in", "in", "out"]);
  await loseShard();
  expect(await reindex()).toMatchObject({ indexed: 3, waiting: 0, problems: [] });
  expect(await rows()).toEqual(before);
  await deliver();
  expect(await rows()).toEqual(before);
});
