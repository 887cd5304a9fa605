/** A domain that sends by a smart host, with people who have logins; and the object that sends, with a clock of its own. */
import {
  createExecutionContext,
  env,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { sendWritten } from "../../../src/worker/access/actions/send.ts";
import type { DomainRpc, LoggedEvent } from "../../../src/worker/domain/contract.ts";
import type { Env } from "../../../src/worker/env.ts";
import type { User } from "../../../src/worker/identity/principal.ts";
import type { SubmitResult, Writer } from "../../../src/worker/send/contract.ts";
import type { OutboundObject } from "../../../src/worker/send/object.ts";
import { submit } from "../../../src/worker/send/submit.ts";
import { addUser, call, type Json, json } from "../access/client.ts";
import { NOON } from "../domain/fixture.ts";
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

/** Until nothing of the domain's is due any more; the alarm may be on its way by itself. */
export async function flush(domain: string): Promise<void> {
  for (let looks = 0; looks < 500; looks++) {
    await runDurableObjectAlarm(outbound(domain));
    if ((await dueNow(domain)) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("the queue does not come to rest");
}

async function dueNow(domain: string): Promise<number> {
  const now = await runInDurableObject(outbound(domain), (object: OutboundObject) => object.world.now());
  const id = await env.DIRECTORY.prepare("SELECT id FROM domain WHERE name = ?").bind(domain).first<number>("id");
  const until = Number(id) * 2 ** 32 + Math.floor(now / 1000);
  const counts = await Promise.all(
    [env.SHARD_0, env.SHARD_1].map((db) =>
      db
        .prepare(
          `SELECT (SELECT count(*) FROM outgoing_recipient WHERE due BETWEEN ?1 AND ?2)
             + (SELECT count(*) FROM follow_up WHERE due BETWEEN ?1 AND ?2) AS due`,
        )
        .bind(Number(id) * 2 ** 32, until)
        .first<number>("due"),
    ),
  );
  return counts.reduce<number>((sum, due) => sum + (due ?? 0), 0);
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

/** The time of a sending domain, which is the test's: far ahead, so that no alarm goes off by itself. */
export class Clock {
  now = NOON;
  readonly sender: Sender;
  /** In the stead of the object's bindings. */
  env: Env = env as Env;

  private constructor(sender: Sender) {
    this.sender = sender;
  }

  static async over(sender: Sender): Promise<Clock> {
    const clock = new Clock(sender);
    await clock.enter();
    return clock;
  }

  /** Puts the world of the test into the object, also after a restart. */
  async enter(): Promise<void> {
    await runInDurableObject(outbound(this.sender.domain), (object: OutboundObject) => this.into(object));
  }

  into(object: OutboundObject): void {
    Object.defineProperty(object, "world", {
      configurable: true,
      value: { env: this.env, now: () => this.now, random: () => 0.5 },
    });
  }

  /** As ann writes it. @returns the number of the message in Sent */
  async write(
    message: { to: string[]; subject?: string; text?: string },
    request: string | null = null,
    environment: Env = env as Env,
  ): Promise<number> {
    const written = { cc: [], bcc: [], replyTo: [], attachments: [], text: "Hello.", subject: "Hello", ...message };
    const ctx = createExecutionContext();
    const user = await userOf(`ann@${this.sender.domain}`);
    const sent = await sendWritten(environment, ctx, user, written, request, this.now);
    await waitOnExecutionContext(ctx);
    if (!sent.ok) throw new Error(sent.error.detail);
    return sent.value.placement ?? 0;
  }

  /** As it comes from whoever calls `submit`. */
  async submit(
    octets: string,
    message: { from: string; to: string[]; writer: Writer; request?: string },
    environment: Env = env as Env,
  ): Promise<SubmitResult> {
    const ctx = createExecutionContext();
    const bytes = new TextEncoder().encode(octets);
    const { from, to: recipients, writer, request = null } = message;
    const facts = {
      body: "8BITMIME",
      smtputf8: false,
      client: { ip: "192.0.2.7", helo: "mail.example.net", protocol: "ESMTPS" },
    } as const;
    const submitted = await submit(
      environment,
      ctx,
      {
        domain: this.sender.domain,
        writer,
        from,
        recipients,
        ...facts,
        octets: once(bytes),
        size: bytes.length,
        request,
      },
      this.now,
    );
    await waitOnExecutionContext(ctx);
    return submitted;
  }

  /** The alarms that come due within so many seconds. */
  async run(seconds = 0): Promise<void> {
    const end = this.now + seconds * 1000;
    for (;;) {
      const at = await this.#alarm();
      if (at === null || at > end) break;
      this.now = Math.max(this.now, at);
      await runDurableObjectAlarm(outbound(this.sender.domain));
    }
    this.now = end;
  }

  /** In how many seconds the object looks again; null: never. */
  async next(): Promise<number | null> {
    const at = await this.#alarm();
    return at === null ? null : (at - this.now) / 1000;
  }

  #alarm(): Promise<number | null> {
    return runInDurableObject(outbound(this.sender.domain), (_object: OutboundObject, state) =>
      state.storage.getAlarm(),
    );
  }

  states(id: number): Promise<State[]> {
    return delivery(this.sender.ann, id);
  }

  async events(kind: string): Promise<LoggedEvent[]> {
    const object = env.DOMAIN.getByName(this.sender.domain) as unknown as DomainRpc;
    const events = await object.events(null, 1000);
    return events.filter((event) => event.kind === kind);
  }
}

export async function userOf(address: string): Promise<User> {
  const row = await env.DIRECTORY.prepare("SELECT id, domain, shard FROM mailbox WHERE address = ?")
    .bind(address)
    .first<{ id: number; domain: number; shard: number }>();
  if (!row) throw new Error(`no mailbox ${address}`);
  return { kind: "user", name: address, mailbox: row.id, domain: row.domain, shard: row.shard };
}

async function* once(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield octets;
}

/** The whole of a message in a folder. */
export async function rawOf(token: string, id: unknown): Promise<string> {
  const response = await call("GET", `/api/mail/messages/${String(id)}/raw`, { token });
  return text(new Uint8Array(await response.arrayBuffer()));
}
