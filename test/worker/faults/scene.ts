/** A domain with its server and mailboxes, and what may be seen of a message from the outside. */
import { env, evictDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { mendArchive } from "../../../src/worker/archive/mend.ts";
import type { LoggedEvent } from "../../../src/worker/domain/contract.ts";
import type { Env } from "../../../src/worker/env.ts";
import { wakeAll } from "../../../src/worker/failback/wake.ts";
import { openSession } from "../../../src/worker/identity/session.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { shardDb, shards } from "../../../src/worker/store/shard.ts";
import { writeTask } from "../../../src/worker/store/tasks.ts";
import type { Behaviour } from "../../support/origin-behaviour.ts";
import { asOperator, json } from "../access/client.ts";
import { NOON, TestDomain } from "../domain/fixture.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { belowOurs } from "../receive/organisation.ts";
import { through } from "./injector.ts";
import type { Forwarding } from "./sender.ts";

export interface SceneOptions {
  readonly mode?: "normal" | "emergency";
  /** How the origin behaves until it is repaired; `down`: its port is closed. */
  readonly origin?: Behaviour | "down";
  /** STARTTLS and AUTH before anything else. */
  readonly secure?: boolean;
  /** How the origin is reached; absent: SMTP from the Worker. With `forward` its SMTP server is beside what Email Routing forwards to. */
  readonly transport?: "gateway" | "forward";
  /** The origin was late at a final dot today: for mail that `email()` brings, a keeper connects. */
  readonly slow?: boolean;
  /** Which shard each mailbox lives on; absent: all on the first. */
  readonly shards?: Readonly<Record<string, number>>;
}

interface Mailbox {
  readonly account: number;
  readonly shard: number;
  readonly token: string;
}

/** How often each mailbox has it. */
export interface Kept {
  readonly inInbox: Readonly<Record<string, number>>;
  readonly inArchive: Readonly<Record<string, number>>;
}

/** As an administrator sees it. */
export interface Backlog {
  readonly waiting: number;
  readonly refused: number;
}

/** Longer than any pause that failback makes; the clock is the test's own. */
const ROUNDS = 60;
const ROUND_SECONDS = 60;

const HOUR = 3600_000;
/** More than a case takes. */
const CASE = 30_000;

const LOGIN = { name: "holdfast", password: "a password of the tests" };
const SECURE: Behaviour = { tls: "starttls", user: LOGIN };

/** Email Routing hands a message on, as a call that can fail. */
export const FORWARDING = "Email Routing: forward";

/** Covered: ann and bob, who share info@. Registered, not covered: dan. Switching is by hand, probes are good. */
export class Scene {
  readonly domain: TestDomain;
  readonly origin: Origin;
  /** What Email Routing has forwarded to its servers, in this case. */
  readonly forwarded: { readonly to: string; readonly octets: Uint8Array }[] = [];
  readonly #mailboxes: ReadonlyMap<string, Mailbox>;
  /** What every behaviour of its origin has in it. */
  readonly #ordinary: Behaviour;
  #down = false;
  /** The last event before the case that is played. */
  #since = 0;

  private constructor(
    domain: TestDomain,
    origin: Origin,
    mailboxes: ReadonlyMap<string, Mailbox>,
    ordinary: Behaviour,
    forwards: boolean,
  ) {
    this.domain = domain;
    this.origin = origin;
    this.#ordinary = ordinary;
    this.#mailboxes = mailboxes;
    const takes = async (octets: Uint8Array, to: string) => this.forwarded.push({ octets, to });
    this.forwarding = forwards ? (octets, to) => through(FORWARDING, () => takes(octets, to)) : null;
  }

  static async open({ shards = {}, secure = false, transport, slow = false }: SceneOptions): Promise<Scene> {
    const origin = await createOrigin(secure ? SECURE : {});
    const domain = await TestDomain.create({ port: origin.port, coverage: "selected", switching: "manual" });
    const mailboxes = new Map<string, Mailbox>();
    for (const [local, aliases, covered] of [
      ["ann", ["info"], true],
      ["bob", ["info"], true],
      ["dan", [], false],
    ] as const) {
      const account = await domain.mailbox(local, { aliases, covered });
      const shard = shards[local] ?? 0;
      if (shard !== 0) await moveTo(shard, account, domain.id);
      const name = `${local}@${domain.name}`;
      const principal = { kind: "user", name, mailbox: account, domain: domain.id, shard } as const;
      const { token } = await openSession(env as Env, principal, NOON); // also when tests of retention have gone ahead
      mailboxes.set(local, { account, shard, token });
    }
    await domain.start();
    await domain.run(0);
    const scene = new Scene(domain, origin, mailboxes, secure ? SECURE : {}, transport === "forward");
    if (slow) await domain.rpc.hold([`nothing\nann@${domain.name}`], 1);
    if (secure || transport) await scene.#takeRoute(transport ?? "smtp", secure);
    return scene;
  }

  /** A case begins: with an origin like that, in that mode, and nothing of the cases before. */
  async begin({ mode = "normal", origin = {} }: SceneOptions): Promise<void> {
    this.forwarded.length = 0;
    await Promise.all([this.origin.forget(), emptyStore(), this.#settled(mode)]);
    this.#down = origin === "down";
    if (origin === "down") await this.origin.stop();
    else await this.mend(origin);
  }

  async #settled(mode: "normal" | "emergency"): Promise<void> {
    if (mode === "emergency") await this.domain.rpc.choose(mode, "admin@example.org");
    this.#since = (await this.domain.rpc.events(null, 1))[0]?.seq ?? 0;
  }

  async #takeRoute(transport: "smtp" | "gateway" | "forward", secure: boolean): Promise<void> {
    const { name: username, password } = LOGIN;
    const origin = {
      transport,
      host: "127.0.0.1",
      port: this.origin.port,
      ...(secure ? { tls: "starttls", username, password } : { tls: "none" }),
      ...(transport === "forward" ? { via: "smtp", forwardDomain: this.forwardDomain } : {}),
    };
    const { status, body } = await asOperator("PUT", `/api/domains/${this.domain.name}`, { origin });
    if (status !== 200) throw new Error(`the route was not taken: ${status} ${JSON.stringify(body)}`);
  }

  /** Where Email Routing forwards its mail to. */
  get forwardDomain(): string {
    return `inside.${this.domain.name}`;
  }

  address(local: string): string {
    return `${local}@${this.domain.name}`;
  }

  mailbox(local: string): Mailbox {
    const found = this.#mailboxes.get(local);
    if (!found) throw new Error(`${local} is no mailbox of this scene`);
    return found;
  }

  /** How often its server has seen the end of a message. */
  async dots(): Promise<number> {
    return (await this.origin.report()).transcript.filter((line) => line === "C: (message) .").length;
  }

  /** Its server is there again, and behaves like that. */
  async mend(behaviour: Behaviour): Promise<void> {
    await this.origin.set({ ...this.#ordinary, ...behaviour });
    if (this.#down) await this.origin.start();
    this.#down = false;
  }

  /** Its server is well again, and mail goes to it. */
  async repair(): Promise<void> {
    this.domain.wait(1); // no clock stands still between a person's act and a run
    await this.mend({});
    await this.domain.rpc.choose("normal", "admin@example.org");
  }

  /** Alarms and cron go on until nothing waits. @returns what is counted then @throws where something is stuck */
  async rest(): Promise<Backlog> {
    for (let round = 0; ; round++) {
      const [backlog, status] = await Promise.all([this.backlog(), this.domain.rpc.status()]);
      const { waiting } = backlog;
      if (waiting === 0 && status?.run === null && status.deferred === 0) return backlog;
      if (round === ROUNDS) throw new Error(`${waiting} messages still wait, ${status?.deferred} are deferred`);
      await this.wake();
      await this.domain.run(ROUND_SECONDS);
    }
  }

  /** Its object ends without a word, and begins anew on what it has stored. */
  async restart(): Promise<void> {
    await evictDurableObject(this.domain.object);
    await this.domain.enter();
  }

  /** Cron, each minute. */
  async wake(): Promise<void> {
    await wakeAll(env as Env);
  }

  /** The hourly sweep for archive copies that have no row. */
  async sweep(): Promise<void> {
    // The hour in which the case began is to be looked at, whatever sweeps of other cases have seen of it.
    const hour = Math.floor((Date.now() - CASE) / HOUR) * HOUR;
    await writeTask(env.DIRECTORY, "sweep", { hour: hour - HOUR });
    await mendArchive(env as Env, Date.now() + HOUR);
  }

  async backlog(): Promise<Backlog> {
    const { body } = await asOperator("GET", `/api/domains/${this.domain.name}`);
    return body.backlog as Backlog;
  }

  /** What `message.forward()` does; null where it is not to be used. */
  readonly forwarding: Forwarding | null;

  /** Whether anything is held against its server. */
  async isBlamed(): Promise<boolean> {
    return (await this.domain.rpc.plan("ann"))?.doubt === true;
  }

  /** How often the origin took it, for each recipient. Octet for octet, or it counts as lost. */
  async atOrigin(octets: Uint8Array, recipients: readonly string[]): Promise<number[]> {
    const taken = await this.accepted();
    return recipients.map((to) => taken(octets, to));
  }

  /** @returns says how often it has a message */
  async accepted(): Promise<(octets: Uint8Array, to: string) => number> {
    const messages = (await this.origin.messages()).filter((message) => message.accepted);
    const all = messages.map(({ raw, to }) => ({ raw: belowOurs(raw), to }));
    const forwarded = [...this.forwarded];
    return (octets, to) => {
      const inside = `${to.slice(0, to.lastIndexOf("@"))}@${this.forwardDomain}`;
      const bySmtp = all.filter((one) => one.to.includes(to) && equal(one.raw, octets));
      return bySmtp.length + forwarded.filter((one) => one.to === inside && equal(one.octets, octets)).length;
    };
  }

  /** By the rows of all shards. */
  async kept(subject: string): Promise<Kept> {
    const count: Record<"inInbox" | "inArchive", Record<string, number>> = { inInbox: {}, inArchive: {} };
    for (const local of this.#mailboxes.keys()) count.inInbox[local] = count.inArchive[local] = 0;
    const rows = await Promise.all(shards(env as Env).map(({ db }) => rowsOf(db, subject)));
    for (const [local, { account }] of this.#mailboxes) {
      for (const row of rows.flat().filter((one) => one.account === account)) {
        count.inInbox[local] = (count.inInbox[local] ?? 0) + row.placed;
        count.inArchive[local] = (count.inArchive[local] ?? 0) + row.archived;
      }
    }
    return count;
  }

  /** What people are shown is what is kept: the lists of the API. @param kept by the rows */
  async expectShown(subject: string, locals: readonly string[], kept?: Kept): Promise<void> {
    const { inInbox, inArchive } = kept ?? (await this.kept(subject));
    const all = Object.values(inArchive).reduce((sum, each) => sum + each, 0);
    const lists = locals.flatMap((local) => {
      const { token } = this.mailbox(local);
      return [
        { path: "/api/mail/messages?folder=inbox", token, shows: inInbox[local], of: `inbox of ${local}` },
        { path: "/api/archive", token, shows: inArchive[local], of: `archive of ${local}` },
      ];
    });
    const domain = { path: `/api/archive?domain=${this.domain.name}`, token: undefined, shows: all, of: "the domain" };
    await Promise.all(
      [...lists, domain].map(async ({ path, token, shows, of }) =>
        expect(await listed(path, token, subject), of).toBe(shows),
      ),
    );
  }

  /** Of this case, oldest first. */
  async events(): Promise<LoggedEvent[]> {
    return (await this.domain.rpc.events(null, 200)).filter(({ seq }) => seq > this.#since).reverse();
  }
}

async function rowsOf(db: D1Database, subject: string) {
  const { results } = await db
    .prepare(
      `SELECT m.account, count(DISTINCT m.id) AS archived, count(p.id) AS placed FROM message m
       LEFT JOIN placement p ON p.message = m.id AND p.gone IS NULL WHERE m.subject = ?1 GROUP BY 1`,
    )
    .bind(subject)
    .all<{ account: number; archived: number; placed: number }>();
  return results;
}

/** Objects of cases before must not occupy the sweeps of this one. */
async function emptyStore(): Promise<void> {
  const { objects } = await env.MAIL.list();
  if (objects.length > 0) await env.MAIL.delete(objects.map(({ key }) => key));
}

async function moveTo(shard: number, account: number, domain: number): Promise<void> {
  await env.DIRECTORY.prepare("UPDATE mailbox SET shard = ?2 WHERE id = ?1").bind(account, shard).run();
  await createAccount(shardDb(env as Env, shard), account, domain, NOON);
}

async function listed(path: string, token: string | undefined, subject: string): Promise<number> {
  const answer = token === undefined ? await asOperator("GET", path) : await json("GET", path, { token });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return (answer.body.items as { subject: string }[]).filter((item) => item.subject === subject).length;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && crypto.subtle.timingSafeEqual(a, b);
}
