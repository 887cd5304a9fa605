/**
 * What the origin has is what the design says, octet for octet: the received octets with one Received and one Delivered-To on top,
 * whatever is in them, on every transport and on every way there: as the mail comes, in a failback, and delivered again.
 */
import { createExecutionContext, env, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { traceHeaders } from "../../../src/core/mime/trace.ts";
import { redeliverMessage } from "../../../src/worker/access/actions/archive.ts";
import { metadataOf } from "../../../src/worker/archive/raw.ts";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { findMessage } from "../../../src/worker/store/messages.ts";
import {
  createOrganisation,
  kept,
  must,
  type Organisation,
  octetsIn,
  send,
  sendByEmailRouting,
} from "../receive/organisation.ts";

// Sixteen messages go all three ways on each transport.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const HEAD = "Message-ID: <{}@example.net>\r\nSubject: odd\r\n\r\n";

/** The message, and what is on the wire below our two fields; the same where that is not said. */
const MESSAGES: readonly (readonly [what: string, message: string, wire?: string])[] = [
  ["eight bits", `${HEAD}Gr\xfc\xdfe \x80\xff\r\n`],
  ["NUL", `${HEAD}a\0b\0\r\n\0`, `${HEAD}a\0b\0\r\n\0\r\n`],
  ["a line of 100,000 octets", `${HEAD}${"x".repeat(100_000)}\r\n`],
  ["a field of 100,000 octets", `X-Long: ${"y".repeat(100_000)}\r\n${HEAD}z\r\n`],
  ["leading dots", `${HEAD}.\r\n..\r\n...x\r\n.y\r\n`],
  ["nothing but dots", `${HEAD}.\r\n.\r\n.\r\n`],
  ["no last line end", `${HEAD}the end`, `${HEAD}the end\r\n`],
  ["an empty body", HEAD],
  ["a header alone", "Message-ID: <{}@example.net>\r\nSubject: no body\r\n"],
  ["a body alone", "\r\nno header\r\n"],
  ["trailing blanks and empty lines", `${HEAD}a \t\r\n\r\n\r\n \r\n`],
  ["a signature's folding", `DKIM-Signature: v=1; a=x;\r\n\tb=abc\r\n  def\r\n${HEAD}x\r\n`],
  ["bare line feeds", `${HEAD}a\nb\n\n.\nc\n`, `${HEAD}a\r\nb\r\n\r\n.\r\nc\r\n`],
  ["bare carriage returns", `${HEAD}a\rb\r\r\n.\rc\r`, `${HEAD}a\r\nb\r\n\r\n.\r\nc\r\n`],
  [
    "what smuggles",
    `${HEAD}x\n.\nMAIL FROM:<a@b>\r.\r\nQUIT\n.\r\n`,
    `${HEAD}x\r\n.\r\nMAIL FROM:<a@b>\r\n.\r\nQUIT\r\n.\r\n`,
  ],
  [
    "line feeds alone",
    "Message-ID: <{}@example.net>\nSubject: unix\n\na\n",
    "Message-ID: <{}@example.net>\r\nSubject: unix\r\n\r\na\r\n",
  ],
];
/** So that pieces are cut between CR and LF, before and behind dots. The longest are spared the smallest. */
const CUTS = [1, 2, 3, 5_000];
const chunkFor = (index: number, octets: Uint8Array) =>
  octets.length > 10_000 ? 4_999 : (CUTS[index % CUTS.length] ?? 1);

let number = 0;

const WAYS = [
  ["smtp", { transport: "smtp" }],
  ["gateway", { transport: "gateway" }],
  ["forward", { transport: "forward", via: "smtp", forwardDomain: "inside.example" }],
] as const;

describe.each(WAYS)("over %s", (transport, route) => {
  const domain = `${transport}.transparency.example`;
  const to = `Ann+Tag@${domain}`;
  let organisation: Organisation;

  beforeAll(async () => {
    organisation = await createOrganisation(domain, route.transport === "smtp" ? {} : route);
  });

  const mode = (mode: string) => must("PUT", `/api/domains/${domain}/mode`, { mode });
  const events = async (kind: string) => {
    const { items } = (await must("GET", `/api/domains/${domain}/events?limit=200`)) as {
      items: { kind: string; data: { key?: string } }[];
    };
    return items.filter((event) => event.kind === kind).map(({ data }) => data.key);
  };

  /** What the origin has got since `before`, and the key of the newest message in the archive. */
  async function taken(before: number) {
    const messages = (await organisation.origin.messages()).slice(before).filter(({ accepted }) => accepted);
    return messages.map(({ raw }) => raw);
  }

  async function newestKey(): Promise<string> {
    return (await kept(domain)).at(-1)?.key ?? "none";
  }

  /** Our two fields from the stored facts, and the octets as they are on the wire. */
  async function expected(key: string, wire: Uint8Array): Promise<Uint8Array> {
    const object = await env.MAIL.head(key);
    if (!object) throw new Error(`${key} is not in the store`);
    const trace = traceHeaders({ ...metadataOf(object).receipt, to: [to] });
    const all = new Uint8Array(trace.length + wire.length);
    all.set(trace);
    all.set(wire, trace.length);
    return all;
  }

  async function failback(): Promise<void> {
    await mode("normal");
    await runInDurableObject(env.DOMAIN.getByName(domain), async (object: DomainObject) => {
      await object.wake(domain);
      await object.alarm();
    });
  }

  async function again(key: string): Promise<void> {
    const id = await env.SHARD_0.prepare("SELECT id FROM message WHERE key = ?").bind(key).first<number>("id");
    const row = await findMessage(env.SHARD_0, id ?? 0);
    if (!row) throw new Error(`${key} has no row`);
    const ctx = createExecutionContext();
    const operator = { kind: "operator", name: "operator" } as const;
    const result = await redeliverMessage(
      env,
      ctx,
      operator,
      { ...row, shard: 0, domain: await domainId() },
      undefined,
    );
    await waitOnExecutionContext(ctx);
    expect(result).toMatchObject({ ok: true, value: { outcome: "delivered" } });
  }

  const domainId = async () =>
    (await env.DIRECTORY.prepare("SELECT id FROM domain WHERE name = ?").bind(domain).first<number>("id")) ?? 0;

  it.each(MESSAGES.map(([what, message, wire = message], index) => ({ what, message, wire, index })))(
    "$what",
    async ({ message, wire: onTheWire, index }) => {
      number += 1;
      const own = (text: string) => latin1(text.replace("{}", String(number)));
      const octets = own(message);
      const wire = own(onTheWire);
      // A last line end that is missing has to be added by any client: it is no change.
      const changed = /\r(?!\n)|(?<!\r)\n/.test(message);

      const before = (await organisation.origin.messages()).length;
      expect((await send([to], octets, { chunk: chunkFor(index, octets) })).final?.code).toBe(250);
      const key = await newestKey();
      expect(await octetsIn(key)).toEqual(octets);
      expect(await taken(before)).toEqual([await expected(key, wire)]);
      expect(await events("line_ends_changed")).toEqual(expect.arrayContaining(changed ? [key] : []));
      if (!changed) expect(await events("line_ends_changed")).not.toContain(key);

      await again(key);
      expect(await taken(before + 1)).toEqual([await expected(key, wire)]);
      expect((await events("line_ends_changed")).filter((one) => one === key).length).toBe(changed ? 2 : 0);

      await mode("emergency");
      // Another message, that it may be no repeat.
      expect((await send([to], octets, { from: "other@example.net" })).final?.code).toBe(250);
      const waiting = await newestKey();
      expect(waiting).not.toBe(key);
      await failback();
      expect(await taken(before + 2)).toEqual([await expected(waiting, wire)]);
      expect((await events("line_ends_changed")).filter((one) => one === waiting).length).toBe(changed ? 1 : 0);
    },
  );
});

describe("what email() forwards", () => {
  const domain = "platform.transparency.example";

  it.each(MESSAGES.map(([what, message]) => ({ what, message })))(
    "$what: the platform sends its own copy, with our mark and no octet of ours",
    async ({ message }) => {
      await createOrganisation(domain, { transport: "forward", via: "smtp", forwardDomain: "inside.example" });
      number += 1;
      const octets = latin1(message.replace("{}", String(number)));
      const forwarded: { to: string; headers: string[] }[] = [];
      const forward = async (to: string, headers?: Headers) => {
        forwarded.push({ to, headers: [...(headers?.keys() ?? [])] });
        return null as unknown as EmailSendResult;
      };
      const answer = await sendByEmailRouting(`ann@${domain}`, octets, "somebody@example.net", { forward });
      expect(answer.kind).toBe("accepted");
      expect(forwarded).toEqual([{ to: "ann@inside.example", headers: [expect.stringMatching(/^x-/)] }]);
      expect(await octetsIn((await kept(domain)).at(-1)?.key ?? "none")).toEqual(octets);
    },
  );
});
