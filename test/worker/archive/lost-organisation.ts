/** An organisation whose index is lost and made anew, what it had before, and what it has afterwards. */
import { env, runDurableObjectAlarm } from "cloudflare:test";
import { beforeAll, beforeEach, expect, vi } from "vitest";
import { newKey, putRaw } from "../../../src/worker/archive/raw.ts";
import type { DomainRpc } from "../../../src/worker/domain/contract.ts";
import type { Env } from "../../../src/worker/env.ts";
import { json, PASSWORD, signInAs } from "../access/client.ts";
import { down, withCalls } from "../broken.ts";
import { createOrganisation, type Kept, kept, letter, must, type Organisation, send } from "../receive/organisation.ts";
import { loseShard, reindex } from "./lost-shard.ts";

export const DOMAIN = "reindex.example";
export const ANN = `ann@${DOMAIN}`;
export const BOB = `bob@${DOMAIN}`;
export let organisation: Organisation;
/** Her session. */
export let ann = "";

/** Once in each file: every test finds it without mail, in normal mode, with an origin that takes everything. */
export function useOrganisation(): void {
  beforeAll(async () => {
    organisation = await createOrganisation(DOMAIN);
    await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${ANN}`, { password: PASSWORD });
    ann = await signInAs(ANN);
  });
  beforeEach(async () => {
    await empty();
    await organisation.origin.set({});
    await mode("normal");
  });
}

/** Nothing of an earlier test: neither rows nor octets. */
async function empty(): Promise<void> {
  const { objects } = await env.MAIL.list();
  await env.MAIL.delete(objects.map(({ key }) => key));
  await loseShard();
  await reindex();
}

/** The octets are stored, and there is neither row nor answer. */
export async function workerDiesWith(octets: Uint8Array, at = Date.now(), goesTo: "origin" | "portal" = "origin") {
  const { key, id } = newKey(at);
  const client = { ip: "192.0.2.7", helo: "mail.example.net", protocol: "ESMTP" };
  await putRaw(env.MAIL, key, octets, {
    receipt: { id, at, host: "mx.holdfast.test", client },
    goesTo,
    direction: "in",
    domain: DOMAIN,
    from: "somebody@example.net",
    recipients: [ANN],
    body: "8BITMIME",
    smtputf8: false,
  });
}

export const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
export const rpc = () => env.DOMAIN.getByName(DOMAIN) as unknown as DomainRpc;
/** All that waits is offered to the origin, and has its outcome. */
export async function failback(): Promise<void> {
  await mode("emergency");
  await mode("normal");
  await vi.waitFor(
    async () => {
      // The object's own alarm may have been faster.
      await runDurableObjectAlarm(env.DOMAIN.getByName(DOMAIN));
      const waiting = await env.SHARD_0.prepare("SELECT count(*) AS n FROM placement WHERE waiting > 0").first("n");
      expect([waiting, (await rpc().status())?.run]).toEqual([0, null]);
    },
    { timeout: 10_000, interval: 100 },
  );
}

/** In emergency mode: it waits in the portal. */
export async function arrives(to: string, fields: Record<string, string> = {}): Promise<Uint8Array<ArrayBuffer>> {
  await mode("emergency");
  const octets = letter(fields);
  const { final } = await send([to], octets);
  expect(final?.code).toBe(250);
  return octets;
}

/** What people see, without the numbers of rows. */
export const view = async (): Promise<string[]> =>
  (await kept(DOMAIN)).map((row) => `${row.mailbox}: ${row.subject}: ${placeOf(row)}`).sort();
const placeOf = ({ inInbox, waiting }: Kept): string =>
  !inInbox ? "archive" : waiting === null ? "inbox" : waiting > 0 ? "waiting" : "refused";

export async function taken(): Promise<(string | undefined)[]> {
  const decoder = new TextDecoder();
  const messages = (await organisation.origin.messages()).filter(({ accepted }) => accepted);
  return messages.map(({ raw }) => /^Subject: (.*)\r$/m.exec(decoder.decode(raw))?.[1]);
}

/** What the origin has had of it after everything that waits was given back. */
export async function givenBack(): Promise<(string | undefined)[]> {
  const before = (await taken()).length;
  await failback();
  return (await taken()).slice(before);
}

export const inbox = async () =>
  (await json("GET", "/api/mail/messages?folder=inbox", { token: ann })).body.items as Listed[];
export interface Listed {
  readonly id: string;
  readonly subject: string;
}

/** The index of the shard answers nothing. */
export const brokenIndex: Env = {
  ...(env as Env),
  SHARD_0: withCalls(env.SHARD_0, { batch: down("D1"), prepare: down("D1") }),
};
