/**
 * workerd, the gateway and both are killed (SIGKILL) at random moments of receiving and of failback, while mail streams in over
 * several connections from a sender that behaves as RFC 5321 §4.5.4.1 asks. In the end every message that was accepted is at the
 * origin, octet for octet, and each doubled one is explained by a kill.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { MAX_FAILBACK_CONNECTIONS } from "../../core/limits.ts";
import { Origin } from "../demo/origin.ts";
import { Sender } from "../demo/sender.ts";
import { Service } from "../demo/service.ts";
import { type Account, accountFor, type Kill, type Victim } from "./account.ts";
import { between, makeJob, type Random, seeded } from "./mail.ts";
import { strike, until, VICTIMS } from "./strike.ts";

export interface RehearsalOptions {
  readonly kills: number;
  /** Fixes messages, moments and victims; not the machine's own timing. */
  readonly seed: number;
  /** An empty folder. */
  readonly folder: string;
  /** Who switches the domain's mode: the rehearsal as a person would, or Holdfast by itself as the origin comes and goes. */
  readonly switching: "manual" | "automatic";
  readonly say: (line: string) => void;
}

export interface Result extends Account {
  readonly kills: readonly Kill[];
  /** Messages in the archive, and those that are there more than once. */
  readonly archived: {
    readonly messages: number;
    readonly twice: readonly string[];
    readonly missing: readonly string[];
  };
  readonly inInboxes: number;
  /** What the sender was told for good: nothing should be. */
  readonly bounced: readonly string[];
  readonly milliseconds: number;
}

const DOMAIN = "example.org";
const TOKEN = "operator-token-of-the-rehearsal";
const PASSWORD = "correct horse battery staple";
const SENDER_CONNECTIONS = 4;
/** In normal mode each sender's connection has one to the origin, beside those of a failback. */
export const ORIGIN_CONNECTIONS = SENDER_CONNECTIONS + MAX_FAILBACK_CONNECTIONS;
/** Milliseconds between storing and answering: the moments that matter are made likely. */
const ORIGIN_SLOW = 60;
const END_LIMIT = 300_000;

const BY_HAND = ["receiving", "emergency", "mode switch", "failback", "origin down", "failback"] as const;
/** One outage, from its beginning to the delivery of what waited. */
const BY_ITSELF = ["origin fails", "outage", "origin returns", "return to normal"] as const;
type Kind = (typeof BY_HAND | typeof BY_ITSELF)[number];
/** Milliseconds in which a domain fails over (a dead origin in about 15 s), and in which it fails back (20 s of good probes). */
const FAILOVER = 16_000;
const FAILBACK = 26_000;

interface DomainView {
  readonly mode: "normal" | "emergency";
  readonly backlog: { readonly waiting: number; readonly refused: number };
}

export async function rehearse(options: RehearsalOptions): Promise<Result> {
  const state = join(options.folder, "holdfast");
  const origin = new Origin(join(options.folder, "origin"), ORIGIN_SLOW);
  const service = await Service.start(state, TOKEN, { said: (line) => options.say(`    ${line}`) });
  try {
    await origin.start();
    return await new Rehearsal(options, state, origin, service).run();
  } finally {
    await service.stop();
    await origin.kill();
  }
}

class Rehearsal {
  readonly #options: RehearsalOptions;
  readonly #state: string;
  readonly #origin: Origin;
  readonly #service: Service;
  readonly #sender: Sender;
  readonly #random: Random;
  readonly #kills: Kill[] = [];
  #made = 0;
  /** Milliseconds that each connection rests between two messages; null: the stream has ended. */
  #pace: number | null = 100;

  constructor(options: RehearsalOptions, state: string, origin: Origin, service: Service) {
    this.#options = options;
    this.#state = state;
    this.#origin = origin;
    this.#service = service;
    const { host, port } = service.addresses.mx;
    this.#sender = new Sender(host, port);
    this.#random = seeded(options.seed);
  }

  async run(): Promise<Result> {
    const began = Date.now();
    const { say, kills, seed } = this.#options;
    await this.#setUp();
    const mail = seeded(seed + 1);
    const streaming = this.#sender.stream(async () => {
      await pause(this.#pace ?? 0);
      return this.#pace === null ? null : makeJob(mail, this.#made++, DOMAIN);
    }, SENDER_CONNECTIONS);
    // It throws only where a message was not taken in all its tries; until then that is nobody's to hear.
    streaming.catch(() => undefined);
    const kinds: readonly Kind[] = this.#options.switching === "manual" ? BY_HAND : BY_ITSELF;
    for (let count = 0; count < kills; count++) {
      const kind = kinds[count % kinds.length] ?? "receiving";
      // Every kind meets every victim.
      const victim = VICTIMS[(count + Math.floor(count / kinds.length)) % VICTIMS.length] ?? "both";
      await this.#one(kind, victim);
      const { mode, backlog } = await this.#domain();
      const last = this.#kills.at(-1);
      say(
        `${count + 1}/${kills} ${victim} killed, ${kind}: back after ${last ? last.back - last.at : 0} ms; ${this.#sender.sent.length} accepted, ${this.#origin.count()} at the origin, ${backlog.waiting} wait, ${mode}`,
      );
    }
    this.#pace = null;
    await streaming;
    if (!this.#origin.alive) await this.#origin.start();
    await this.#mode("normal");
    await until("the backlog", async () => (await this.#domain()).backlog.waiting === 0, END_LIMIT);
    const { backlog } = await this.#domain();
    const account = accountFor(this.#sender.sent, this.#origin.messages(), backlog, this.#kills, ORIGIN_CONNECTIONS);
    return {
      ...account,
      kills: this.#kills,
      archived: await this.#archived(),
      inInboxes: await this.#inInboxes(),
      bounced: this.#sender.bounced.map(({ job, reply }) => `${job.name}: ${reply}`),
      milliseconds: Date.now() - began,
    };
  }

  async #setUp(): Promise<void> {
    await this.#settings(true);
    for (const name of ["alice", "bob", "carol"])
      await this.#service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${name}@${DOMAIN}`, { password: PASSWORD });
  }

  async #settings(continuity: boolean): Promise<void> {
    await this.#service.call("PUT", `/api/domains/${DOMAIN}`, {
      continuity,
      coverage: "all",
      switching: this.#options.switching,
      origin: { transport: "smtp", host: "127.0.0.1", port: this.#origin.port, tls: "none" },
    });
  }

  async #one(kind: Kind, victim: Victim): Promise<void> {
    const random = this.#random;
    switch (kind) {
      case "receiving":
        await this.#mode("normal");
        this.#pace = 20;
        await pause(between(random, 300, 1200));
        return this.#kill(kind, victim);
      case "emergency":
        await this.#mode("emergency");
        this.#pace = 20;
        await pause(between(random, 200, 1500));
        return this.#kill(kind, victim);
      case "mode switch": {
        const to = (await this.#domain()).mode === "normal" ? "emergency" : "normal";
        // Cut off it may be, or not: a person tries again.
        const switching = this.#service.fetch("PUT", `/api/domains/${DOMAIN}/mode`, { mode: to }).catch(() => null);
        await pause(between(random, 0, 60));
        await this.#kill(kind, victim);
        await switching;
        return this.#mode(to);
      }
      case "failback":
        await this.#gather(between(random, 120, 260));
        await this.#mode("normal");
        this.#pace = 100;
        await pause(between(random, 0, 2500));
        return this.#kill(kind, victim);
      case "origin down":
        await this.#mode("normal");
        await this.#origin.kill();
        this.#pace = 20;
        await pause(between(random, 200, 1500));
        await this.#kill(kind, victim);
        return this.#origin.start();
      case "origin fails":
        await this.#forgetFlaps();
        this.#pace = 100;
        await this.#origin.kill();
        await pause(between(random, 0, FAILOVER));
        return this.#kill(kind, victim);
      case "outage":
        await this.#becomes("emergency");
        this.#pace = 20;
        await this.#waits(between(random, 60, 200));
        return this.#kill(kind, victim);
      case "origin returns":
        this.#pace = 100;
        await this.#origin.start();
        await pause(between(random, 0, FAILBACK));
        return this.#kill(kind, victim);
      case "return to normal":
        await this.#becomes("normal");
        await pause(between(random, 0, 1500));
        return this.#kill(kind, victim);
    }
  }

  /** A failover soon after a failback is a flap and doubles the wait; an outage here is to be like the first. */
  async #forgetFlaps(): Promise<void> {
    await this.#becomes("normal");
    for (const continuity of [false, true])
      await until("the domain's settings", async () => {
        await this.#settings(continuity);
        return true;
      });
  }

  /** By itself. */
  async #becomes(mode: DomainView["mode"]): Promise<void> {
    await until(`mode ${mode}`, async () => (await this.#domain()).mode === mode);
  }

  async #waits(count: number): Promise<void> {
    await until("a backlog", async () => (await this.#domain()).backlog.waiting >= count);
  }

  /** A backlog of so many. */
  async #gather(count: number): Promise<void> {
    await this.#mode("emergency");
    this.#pace = 0;
    await this.#waits(count);
    this.#pace = 100;
  }

  /** SIGKILL, and waits until all of it answers again. */
  async #kill(during: Kind, victim: Victim): Promise<void> {
    const { at, back } = await strike(this.#state, this.#service, victim, this.#random);
    const before = this.#sender.sent.length;
    const { mode } = await this.#domain();
    this.#kills.push({ victim, during, at, back, mode });
    await until("mail is taken again", async () => this.#sender.sent.length > before);
  }

  async #mode(mode: "normal" | "emergency"): Promise<void> {
    await until(`mode ${mode}`, async () => {
      const response = await this.#service.fetch("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
      await response.body?.cancel();
      return response.ok;
    });
  }

  async #domain(): Promise<DomainView> {
    let view: DomainView | null = null;
    await until("the domain's state", async () => {
      view = await this.#service.call<DomainView>("GET", `/api/domains/${DOMAIN}`);
      return true;
    });
    if (!view) throw new Error("the domain's state is not known");
    return view;
  }

  async #archived(): Promise<Result["archived"]> {
    const counts = new Map<string, number>();
    let cursor: string | null = null;
    do {
      const query = new URLSearchParams({
        domain: DOMAIN,
        direction: "in",
        limit: "100",
        ...(cursor ? { cursor } : {}),
      });
      const page: { items: { subject: string }[]; next: string | null } = await this.#service.call(
        "GET",
        `/api/archive?${query}`,
      );
      for (const { subject } of page.items) counts.set(subject, (counts.get(subject) ?? 0) + 1);
      cursor = page.next;
    } while (cursor);
    return {
      messages: counts.size,
      twice: [...counts].filter(([, count]) => count > 1).map(([subject, count]) => `${subject}: ${count} times`),
      missing: this.#sender.sent.map(({ name }) => name).filter((name) => !counts.has(name)),
    };
  }

  async #inInboxes(): Promise<number> {
    let count = 0;
    for (const name of ["alice", "bob", "carol"]) {
      const email = `${name}@${DOMAIN}`;
      const { token } = await this.#service.call<{ token: string }>("POST", "/api/session", {
        email,
        password: PASSWORD,
      });
      const { items } = await this.#service.call<{ items: unknown[] }>(
        "GET",
        "/api/mail/messages?folder=inbox",
        undefined,
        token,
      );
      count += items.length;
    }
    return count;
  }
}
