/** Bytes are bytes: what the archive has and what the origin gets. Loops, sizes and strange mail. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openTransaction } from "../../../src/worker/receive/transaction.ts";
import {
  belowOurs,
  createOrganisation,
  kept,
  letter,
  must,
  type Organisation,
  objectsInStore,
  octetsIn,
  send,
  sendByEmailRouting,
} from "./organisation.ts";

let organisation: Organisation;
const ANN = "ann@octets.example";
const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const lastTaken = async () => (await organisation.origin.messages()).at(-1);

beforeAll(async () => {
  organisation = await createOrganisation("octets.example");
});
beforeEach(async () => {
  await organisation.origin.set({});
  await must("PUT", "/api/domains/octets.example/mode", { mode: "normal" });
});

describe("the archive has the received octets, and the origin the same below our two fields", () => {
  it.each([
    ["NUL and eight bits", "Message-ID: <o1@x>\r\n\r\na\0b\xff\xfe\x80\r\n"],
    ["leading dots", "Message-ID: <o2@x>\r\n\r\n.\r\n..\r\n.x\r\n"],
    ["a line of 100,000 octets", `Message-ID: <o3@x>\r\n\r\n${"y".repeat(100_000)}\r\n`],
    ["no header at all", "\r\nonly a body\r\n"],
    ["no body", "Message-ID: <o4@x>\r\nSubject: nothing\r\n"],
    ["a header in Latin-1", "Message-ID: <o5@x>\r\nSubject: Gr\xfc\xdfe\r\n\r\nJ\xf6rg\r\n"],
  ])("with %s", async (_what, text) => {
    const octets = latin1(text);
    expect((await send([ANN], octets, { chunk: 7 })).final?.code).toBe(250);
    expect(belowOurs((await lastTaken())?.raw ?? new Uint8Array())).toEqual(octets);
    expect(await octetsIn((await kept("octets.example")).at(-1)?.key ?? "")).toEqual(octets);
  });

  it("with bare LF and bare CR from Email Routing: stored as they are, CRLF on the wire to the origin", async () => {
    const octets = latin1("Message-ID: <o6@x>\nSubject: bare\n\none\rtwo\n");
    expect(await sendByEmailRouting(ANN, octets)).toMatchObject({ kind: "accepted" });
    expect(await octetsIn((await kept("octets.example")).at(-1)?.key ?? "")).toEqual(octets);
    const taken = new TextDecoder().decode(belowOurs((await lastTaken())?.raw ?? new Uint8Array()));
    expect(taken).toBe("Message-ID: <o6@x>\r\nSubject: bare\r\n\r\none\r\ntwo\r\n");
  });

  it("with eight megabytes that stream", { timeout: 60_000 }, async () => {
    const octets = letter({ Subject: "Eight megabytes" }, "0123456789abcdef0123456789abcdef\r\n".repeat(250_000));
    expect((await send([ANN], octets)).final?.code).toBe(250);
    const raw = (await lastTaken())?.raw ?? new Uint8Array();
    expect(belowOurs(raw).length).toBe(octets.length);
    expect(await sha256(belowOurs(raw))).toBe(await sha256(octets));
    const row = (await kept("octets.example")).at(-1);
    expect(row?.subject).toBe("Eight megabytes");
    expect(await sha256((await octetsIn(row?.key ?? "")) ?? new Uint8Array())).toBe(await sha256(octets));
  });

  it("with eight megabytes that stream while the origin dies in the middle: all of it is in the portal", {
    timeout: 60_000,
  }, async () => {
    await organisation.origin.set({ cutAfter: { octets: 100_000 } });
    const octets = letter({ Subject: "Cut in the middle" }, "0123456789abcdef0123456789abcdef\r\n".repeat(250_000));
    expect((await send([ANN], octets)).final?.code).toBe(250);
    const row = (await kept("octets.example")).at(-1);
    expect(row).toMatchObject({ subject: "Cut in the middle", inInbox: true });
    expect(await sha256((await octetsIn(row?.key ?? "")) ?? new Uint8Array())).toBe(await sha256(octets));
  });
});

describe("the envelope decides", () => {
  it("not the To header", async () => {
    await send([ANN], letter({ To: "bob@octets.example", Subject: "To lies" }));
    expect((await kept("octets.example")).filter((row) => row.subject === "To lies")).toMatchObject([
      { mailbox: "ann" },
    ]);
  });

  it("and is stored as received, in R2's metadata too", async () => {
    await send(["Ann+Tag@Octets.Example"], letter({ Subject: "Envelope" }), { from: "" });
    const key = (await kept("octets.example")).at(-1)?.key ?? "";
    const metadata = JSON.stringify((await env.MAIL.head(key))?.customMetadata);
    expect(metadata).toContain("Ann+Tag@Octets.Example");
    expect((await lastTaken())?.mailCommand).toMatch(/^MAIL FROM:<>/i);
    expect((await lastTaken())?.to).toEqual(["Ann+Tag@Octets.Example"]);
  });

  it("passes SMTPUTF8 on where an address needs it", async () => {
    await send(["ann@octets.example"], letter(), { from: "jörg@example.net", mail: { smtputf8: true } });
    expect((await lastTaken())?.mailCommand).toContain("SMTPUTF8");
    expect((await lastTaken())?.from).toBe("jörg@example.net");
  });
});

describe("mail that is not taken", () => {
  it("has been here before: Delivered-To of this very recipient written by us", async () => {
    await send([ANN], letter({ Subject: "First round" }));
    const back = (await lastTaken())?.raw ?? new Uint8Array();
    expect((await send([ANN], back)).final).toMatchObject({ code: 554, enhanced: "5.4.6" });
    expect((await send(["bob@octets.example"], back)).final?.code).toBe(250);
  });

  it("has more than 100 Received fields; 100 are taken", async () => {
    const hops = (count: number) => latin1(`${"Received: by x; y\r\n".repeat(count)}Subject: hops\r\n\r\n`);
    expect((await send([ANN], hops(101))).final).toMatchObject({ code: 554, enhanced: "5.4.6" });
    expect((await send([ANN], hops(100))).final?.code).toBe(250);
  });

  it("is larger than 25 MiB", async () => {
    const announced = await send([ANN], letter(), { mail: { size: 25 * 1024 * 1024 + 1 } });
    expect(announced.rcpt[0]).toMatchObject({ code: 552, enhanced: "5.3.4" });
  });

  it("breaks off in the middle: nothing is kept and the origin has nothing", async () => {
    const before = {
      objects: await objectsInStore(),
      rows: (await kept("octets.example")).length,
      taken: (await organisation.origin.messages()).length,
    };
    const ctx = { waitUntil: () => {} };
    const client = { ip: "192.0.2.7", helo: "x", protocol: "ESMTP" };
    const transaction = openTransaction(env, ctx, client, { from: "a@example.net", body: "7BIT", smtputf8: false });
    expect((await transaction.recipient(ANN)).code).toBe(250);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield letter();
      throw new Error("the sender went away");
    }
    await expect(transaction.message({ size: 2_000_000, chunks: broken() })).rejects.toThrow("the sender went away");
    expect({
      objects: await objectsInStore(),
      rows: (await kept("octets.example")).length,
      taken: (await organisation.origin.messages()).length,
    }).toEqual(before);
  });

  it("has fewer octets than were announced", async () => {
    const ctx = { waitUntil: () => {} };
    const client = { ip: "192.0.2.7", helo: "x", protocol: "ESMTP" };
    const transaction = openTransaction(env, ctx, client, { from: "a@example.net", body: "7BIT", smtputf8: false });
    await transaction.recipient(ANN);
    async function* short(): AsyncGenerator<Uint8Array> {
      yield letter();
    }
    await expect(transaction.message({ size: 5_000, chunks: short() })).rejects.toThrow("5000 octets were announced");
  });
});

async function sha256(octets: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", octets));
  return Array.from(digest, (octet) => octet.toString(16).padStart(2, "0")).join("");
}
