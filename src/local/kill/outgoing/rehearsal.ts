/**
 * workerd, the gateway and both are killed (SIGKILL) while letters are submitted, and while a full queue of them goes out: by a smart
 * host, and straight to the recipients' servers. In the end each server's own word, the state of each recipient and the reports in the
 * writers' inboxes say the same.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SEND_LANES } from "../../../core/send/limits.ts";
import { Service } from "../../demo/service.ts";
import type { Kill, Victim } from "../account.ts";
import { between, type Random, seeded } from "../mail.ts";
import { startNameServer } from "../name-server.ts";
import { strike, until, VICTIMS } from "../strike.ts";
import { accountForOutgoing, type OutgoingAccount, type Told } from "./account.ts";
import { type Letter, makeLetter } from "./letters.ts";
import { SMART_HOST, Strangers, zone } from "./strangers.ts";
import { type Submitted, submitAll } from "./writers.ts";

export interface OutgoingOptions {
  readonly kills: number;
  readonly letters: number;
  /** Fixes letters, moments and victims; not the machine's own timing. */
  readonly seed: number;
  /** An empty folder. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

export interface OutgoingResult extends OutgoingAccount {
  readonly kills: readonly Kill[];
  readonly submitted: Submitted;
  /** Letters in the queue as the servers began to take mail. */
  readonly queued: number;
  readonly milliseconds: number;
}

interface Queue {
  readonly items: readonly unknown[];
  readonly waiting: number;
}

/** By a smart host, and straight. */
const DOMAINS = ["house.example.org", "street.example.org"] as const;
const PASSWORD = "correct horse battery staple";
const TOKEN = "operator-token-of-the-rehearsal";
/** Milliseconds between taking and answering: the moments that matter are made likely. */
const SLOW = 120;
const RETRY = 1_000;
const END_LIMIT = 300_000;
const MANY = 1_000_000;
export const CONNECTIONS = DOMAINS.length * SEND_LANES;

export async function rehearseOutgoing(options: OutgoingOptions): Promise<OutgoingResult> {
  const random = seeded(options.seed);
  const strangers = await Strangers.reserve(SLOW, random);
  const names = await startNameServer(zone());
  try {
    const state = join(options.folder, "holdfast");
    mkdirSync(state, { recursive: true });
    const service = await Service.start(state, TOKEN, {
      said: (line) => options.say(`    ${line}`),
      settings: {
        HOLDFAST_NAME_SERVERS: names.address,
        HOLDFAST_RELAY_PRIVATE_NAMES: "allow",
        HOLDFAST_MX_HOST_PORT: String(strangers.port),
      },
    });
    try {
      return await new Rehearsal(options, state, service, strangers, random).run();
    } finally {
      await service.stop();
    }
  } finally {
    await strangers.close();
    names.close();
  }
}

class Rehearsal {
  readonly #options: OutgoingOptions;
  readonly #state: string;
  readonly #service: Service;
  readonly #strangers: Strangers;
  readonly #random: Random;
  readonly #kills: Kill[] = [];
  readonly #submitted: Submitted = { accepted: new Set(), abandoned: new Set(), unanswered: 0, refused: [] };
  /** Of the writers, by address. */
  readonly #tokens = new Map<string, string>();

  constructor(options: OutgoingOptions, state: string, service: Service, strangers: Strangers, random: Random) {
    this.#options = options;
    this.#state = state;
    this.#service = service;
    this.#strangers = strangers;
    this.#random = random;
  }

  async run(): Promise<OutgoingResult> {
    const began = Date.now();
    const { kills, letters: count, seed, say } = this.#options;
    const mail = seeded(seed + 1);
    const letters = Array.from({ length: count }, (_, number) =>
      // In pairs, for a number says by which way it is submitted.
      makeLetter(mail, number, DOMAINS[Math.floor(number / 2) % DOMAINS.length] ?? DOMAINS[0]),
    );
    await this.#setUp();

    // Nobody takes mail yet: all of it gathers in the queue.
    let submitting = true;
    const writing = Promise.all(DOMAINS.map((domain) => this.#write(letters, domain))).finally(() => {
      submitting = false;
    });
    // It is waited for below, which throws the same; until then that is nobody's to hear.
    writing.catch(() => undefined);
    const early = Math.floor(kills / 3);
    const answers = () => this.#submitted.accepted.size;
    for (let kill = 0; kill < early; kill++) {
      const before = answers();
      await until("letters are taken", async () => !submitting || answers() > before + count / (2 * early + 2));
      if (!submitting) throw new Error("all was submitted before it was killed");
      await this.#kill(kill, "submitting");
    }
    await writing;
    const sent = await this.#inSent();
    const queued = await this.#waiting();
    const expected = letters.filter(({ subject }) => sent.has(subject)).flatMap(({ recipients }) => recipients).length;
    if (queued !== expected) throw new Error(`${queued} recipients wait, and ${expected} were written to`);
    say(`${sent.size} letters wait for ${queued} recipients`);

    await this.#strangers.open();
    for (let kill = early; kill < kills; kill++) {
      await this.#retry();
      const before = this.#strangers.said.length;
      const wanted = between(this.#random, 4, Math.max(5, Math.floor(expected / (2 * kills))));
      await until("letters go out", async () => this.#strangers.said.length >= before + wanted);
      if ((await this.#waiting()) === 0) throw new Error("all had gone out before it was killed");
      await this.#kill(kill, "sending");
      say(`${this.#strangers.said.length} answers of the servers so far`);
    }
    await until(
      "the queue is empty",
      async () => {
        await this.#retry();
        await pause(RETRY);
        return (await this.#unfinished()) === 0;
      },
      END_LIMIT,
    );
    say(`the queue is empty after ${Math.round((Date.now() - began) / 1000)} s`);
    const facts = {
      letters,
      submitted: this.#submitted,
      said: this.#strangers.said,
      sent: await this.#states(await this.#inSent()),
      reports: await this.#reports(),
      kills: this.#kills,
      connections: CONNECTIONS,
    };
    const milliseconds = Date.now() - began;
    return {
      ...accountForOutgoing(facts),
      kills: this.#kills,
      submitted: this.#submitted,
      queued: sent.size,
      milliseconds,
    };
  }

  async #setUp(): Promise<void> {
    const { port } = this.#strangers;
    const limits = { userHour: MANY, userDay: MANY, domainHour: MANY, domainDay: MANY };
    for (const domain of DOMAINS) {
      const straight = domain === DOMAINS[1];
      await this.#service.call("PUT", `/api/domains/${domain}`, {
        continuity: true,
        // Nobody is there: the domain is in emergency mode.
        origin: { transport: "smtp", host: SMART_HOST, port, tls: "none" },
        outgoing: straight
          ? { transport: "gateway", limits }
          : { transport: "smarthost", host: SMART_HOST, port, tls: "none", limits },
      });
      await this.#service.call("PUT", `/api/domains/${domain}/mode`, { mode: "emergency" });
      for (const name of ["ann", "bob"]) {
        const email = `${name}@${domain}`;
        await this.#service.call("PUT", `/api/domains/${domain}/mailboxes/${email}`, { password: PASSWORD });
        const session = { email, password: PASSWORD };
        const { token } = await this.#service.call<{ token: string }>("POST", "/api/session", session);
        this.#tokens.set(email, token);
      }
    }
  }

  #write(letters: readonly Letter[], domain: string): Promise<void> {
    const theirs = letters.filter((letter) => letter.domain === domain);
    return submitAll(this.#service, theirs, this.#tokens.get(`ann@${domain}`) ?? "", PASSWORD, this.#submitted);
  }

  async #kill(count: number, during: string): Promise<void> {
    // Every phase meets every victim.
    const victim: Victim = VICTIMS[count % VICTIMS.length] ?? "both";
    const struck = await strike(this.#state, this.#service, victim, this.#random);
    this.#kills.push({ victim, during, ...struck, mode: "emergency" });
    const { kills, say } = this.#options;
    say(`${count + 1}/${kills} ${victim} killed while ${during}: back after ${struck.back - struck.at} ms`);
  }

  /** As an administrator would who does not want to wait for the next try. */
  async #retry(): Promise<void> {
    for (const domain of DOMAINS)
      await until("the queue is tried", async () => {
        await this.#service.call("POST", `/api/domains/${domain}/outgoing/retry`);
        return true;
      });
  }

  #queue(): Promise<Queue[]> {
    const queue = (domain: string) => this.#service.call<Queue>("GET", `/api/domains/${domain}/outgoing?limit=1`);
    return Promise.all(DOMAINS.map(queue));
  }

  async #waiting(): Promise<number> {
    return (await this.#queue()).reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** With those whose writer is still to be told. */
  async #unfinished(): Promise<number> {
    return (await this.#queue()).reduce((sum, { items, waiting }) => sum + items.length + waiting, 0);
  }

  /** What is in the writers' Sent: by subject, each copy's number and whose it is. */
  async #inSent(): Promise<Map<string, { readonly id: string; readonly token: string }[]>> {
    const found = new Map<string, { id: string; token: string }[]>();
    for (const { id, subject, token } of await this.#folder("sent"))
      found.set(subject, [...(found.get(subject) ?? []), { id, token }]);
    return found;
  }

  async #folder(folder: string): Promise<{ id: string; subject: string; token: string }[]> {
    const all: { id: string; subject: string; token: string }[] = [];
    for (const token of this.#tokens.values()) {
      let cursor: string | null = null;
      do {
        const query = new URLSearchParams({ folder, limit: "100", ...(cursor === null ? {} : { cursor }) });
        const page: { items: { id: string; subject: string }[]; next: string | null } = await this.#service.call(
          "GET",
          `/api/mail/messages?${query}`,
          undefined,
          token,
        );
        all.push(...page.items.map(({ id, subject }) => ({ id, subject, token })));
        cursor = page.next;
      } while (cursor !== null);
    }
    return all;
  }

  async #states(
    sent: ReadonlyMap<string, readonly { readonly id: string; readonly token: string }[]>,
  ): Promise<Map<string, Told[][]>> {
    const states = new Map<string, Told[][]>();
    for (const [subject, copies] of sent) {
      const told = copies.map(async ({ id, token }) => {
        const path = `/api/mail/messages/${id}/delivery`;
        return (await this.#service.call<{ items: Told[] }>("GET", path, undefined, token)).items;
      });
      states.set(subject, await Promise.all(told));
    }
    return states;
  }

  /** The recipients that each report in an inbox names (RFC 3464 §2.3.2). */
  async #reports(): Promise<string[][]> {
    const reports: string[][] = [];
    for (const { id, token } of await this.#folder("inbox")) {
      const response = await this.#service.fetch("GET", `/api/mail/messages/${id}/raw`, undefined, token);
      const octets = await response.text();
      reports.push([...octets.matchAll(/^Final-Recipient: rfc822; (\S+)\r$/gm)].map(([, to = ""]) => to));
    }
    return reports;
  }
}
