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
import type { Behaviour } from "../../support/origin-behaviour.ts";
import { asOperator, json } from "../access/client.ts";
import { NOON, TestDomain } from "../domain/fixture.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { belowOurs } from "../receive/organisation.ts";

export interface SceneOptions {
  readonly mode?: "normal" | "emergency";
  /** How the origin behaves until it is repaired; `down`: its port is closed. */
  readonly origin?: Behaviour | "down";
  /** STARTTLS and AUTH before anything else. */
  readonly secure?: boolean;
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

/** Longer than any pause that failback makes; the clock is the test's own. */
const ROUNDS = 60;
const ROUND_SECONDS = 60;

const LOGIN = { name: "holdfast", password: "a password of the tests" };
const SECURE: Behaviour = { tls: "starttls", user: LOGIN };

/** Covered: ann and bob, who share info@. Registered, not covered: dan. Switching is by hand, probes are good. */
export class Scene {
  readonly domain: TestDomain;
  readonly origin: Origin;
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
  ) {
    this.domain = domain;
    this.origin = origin;
    this.#ordinary = ordinary;
    this.#mailboxes = mailboxes;
  }

  static async open({ shards = {}, secure = false }: SceneOptions): Promise<Scene> {
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
    const scene = new Scene(domain, origin, mailboxes, secure ? SECURE : {});
    if (secure) await scene.#login();
    return scene;
  }

  /** A case begins: with an origin like that, in that mode, and nothing of the cases before. */
  async begin({ mode = "normal", origin = {} }: SceneOptions): Promise<void> {
    await this.origin.forget();
    // Objects of cases before must not occupy the sweeps of this one.
    const { objects } = await env.MAIL.list();
    if (objects.length > 0) await env.MAIL.delete(objects.map(({ key }) => key));
    if (mode === "emergency") await this.domain.rpc.choose(mode, "admin@example.org");
    this.#since = (await this.domain.rpc.events(null, 1))[0]?.seq ?? 0;
    this.#down = origin === "down";
    if (origin === "down") await this.origin.stop();
    else await this.mend(origin);
  }

  async #login(): Promise<void> {
    const { name: username, password } = LOGIN;
    const origin = {
      transport: "smtp",
      host: "127.0.0.1",
      port: this.origin.port,
      tls: "starttls",
      username,
      password,
    };
    const { status, body } = await asOperator("PUT", `/api/domains/${this.domain.name}`, { origin });
    if (status !== 200) throw new Error(`the route was not taken: ${status} ${JSON.stringify(body)}`);
  }

  address(local: string): string {
    return `${local}@${this.domain.name}`;
  }

  mailbox(local: string): Mailbox {
    const found = this.#mailboxes.get(local);
    if (!found) throw new Error(`${local} is no mailbox of this scene`);
    return found;
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

  /** Alarms and cron go on until nothing waits. @throws where something is stuck */
  async rest(): Promise<void> {
    for (let round = 0; ; round++) {
      const { waiting } = await this.backlog();
      const status = await this.domain.rpc.status();
      if (waiting === 0 && status?.run === null && status.deferred === 0) return;
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
    // As if none had been before: the hour is the same in each case.
    await env.DIRECTORY.prepare("DELETE FROM task WHERE name = 'sweep'").run();
    await mendArchive(env as Env, Date.now() + 3600_000);
  }

  async backlog(): Promise<{ waiting: number; refused: number }> {
    const { body } = await asOperator("GET", `/api/domains/${this.domain.name}`);
    return body.backlog as { waiting: number; refused: number };
  }

  /** How often the origin took it, for each recipient. Octet for octet, or it counts as lost. */
  async atOrigin(octets: Uint8Array, recipients: readonly string[]): Promise<number[]> {
    const taken = (await this.origin.messages()).filter((message) => message.accepted);
    const mine = taken.filter((message) => equal(belowOurs(message.raw), octets));
    return recipients.map((to) => mine.filter((one) => one.to.includes(to)).length);
  }

  /** By the rows of all shards. */
  async kept(subject: string): Promise<Kept> {
    const count: Record<"inInbox" | "inArchive", Record<string, number>> = { inInbox: {}, inArchive: {} };
    for (const local of this.#mailboxes.keys()) count.inInbox[local] = count.inArchive[local] = 0;
    for (const { db } of shards(env as Env)) {
      const { results } = await db
        .prepare(
          `SELECT m.account, count(DISTINCT m.id) AS archived, count(p.id) AS placed FROM message m
           LEFT JOIN placement p ON p.message = m.id AND p.gone IS NULL WHERE m.subject = ?1 GROUP BY 1`,
        )
        .bind(subject)
        .all<{ account: number; archived: number; placed: number }>();
      for (const [local, { account }] of this.#mailboxes) {
        for (const row of results.filter((one) => one.account === account)) {
          count.inInbox[local] = (count.inInbox[local] ?? 0) + row.placed;
          count.inArchive[local] = (count.inArchive[local] ?? 0) + row.archived;
        }
      }
    }
    return count;
  }

  /** What people are shown is what `kept` counts: the lists of the API. */
  async expectShown(subject: string, locals: readonly string[]): Promise<void> {
    const { inInbox, inArchive } = await this.kept(subject);
    for (const local of locals) {
      const { token } = this.mailbox(local);
      expect(await listed("/api/mail/messages?folder=inbox", token, subject), `inbox of ${local}`).toBe(inInbox[local]);
      expect(await listed("/api/archive", token, subject), `archive of ${local}`).toBe(inArchive[local]);
    }
    const all = Object.values(inArchive).reduce((sum, each) => sum + each, 0);
    expect(await listed(`/api/archive?domain=${this.domain.name}`, undefined, subject)).toBe(all);
  }

  /** Of this case, oldest first. */
  async events(): Promise<LoggedEvent[]> {
    return (await this.domain.rpc.events(null, 200)).filter(({ seq }) => seq > this.#since).reverse();
  }
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
