/** A domain that sends by a smart host, with people who have logins; and the object that sends, with a clock of its own. */
import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import type { Env } from "../../../src/worker/env.ts";
import type { OutboundObject } from "../../../src/worker/send/object.ts";
import { addUser, json, type Json } from "../access/client.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { must } from "../receive/organisation.ts";

export interface Sender {
  readonly domain: string;
  /** Takes mail for everybody. */
  readonly smartHost: Origin;
  /** The domain's own server. */
  readonly origin: Origin;
  /** Tokens. */
  readonly ann: string;
  readonly bob: string;
}

/** Covered: ann (alias sales) and bob, with logins. In emergency mode. */
export async function createSender(domain: string, mode: "normal" | "emergency" = "emergency"): Promise<Sender> {
  const [origin, smartHost] = await Promise.all([createOrigin(), createOrigin()]);
  await must("PUT", `/api/domains/${domain}`, {
    continuity: true,
    origin: { transport: "smtp", host: "127.0.0.1", port: origin.port, tls: "none" },
    outgoing: { transport: "smarthost", host: "127.0.0.1", port: smartHost.port, tls: "none" },
  });
  const ann = await addUser(`ann@${domain}`);
  const bob = await addUser(`bob@${domain}`);
  await must("PUT", `/api/domains/${domain}/mailboxes/ann@${domain}`, { aliases: [`sales@${domain}`] });
  if (mode === "emergency") await must("PUT", `/api/domains/${domain}/mode`, { mode: "emergency" });
  return { domain, smartHost, origin, ann, bob };
}

export function write(token: string, message: Json, headers: Record<string, string> = {}, environment?: Partial<Env>) {
  return json("POST", "/api/mail/messages", {
    token,
    body: message,
    headers,
    ...(environment === undefined ? {} : { env: environment }),
  });
}

export const outbound = (domain: string): DurableObjectStub<OutboundObject> => env.OUTBOUND.getByName(domain);

/** Runs what is due until nothing more is, as the alarm would. */
export async function flush(domain: string): Promise<void> {
  for (let runs = 0; runs < 20; runs++) {
    if (!(await runDurableObjectAlarm(outbound(domain)))) return;
    if (!(await isDue(domain))) return;
  }
  throw new Error("the queue does not come to rest");
}

async function isDue(domain: string): Promise<boolean> {
  return runInDurableObject(outbound(domain), async (object: OutboundObject, state) => {
    const at = await state.storage.getAlarm();
    return at !== null && at <= object.world.now();
  });
}

export interface State {
  readonly recipient: string;
  readonly state: string;
  readonly reply: string | null;
  readonly next: string | null;
}

/** What has become of a message in Sent. */
export async function delivery(token: string, id: unknown): Promise<State[]> {
  const { body } = await json("GET", `/api/mail/messages/${String(id)}/delivery`, { token });
  return body.items as State[];
}

export async function folder(token: string, name: string): Promise<Json[]> {
  return (await json("GET", `/api/mail/messages?folder=${name}`, { token })).body.items as Json[];
}

export const text = (octets: Uint8Array): string => new TextDecoder("latin1").decode(octets);
