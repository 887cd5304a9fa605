/**
 * How much who has sent, in the SQLite of the outbound object, and who may send no more. A stolen password is no spam cannon: over
 * its limit a mailbox is stopped, what it has queued stays there, until an administrator has looked.
 */
import { and, eq, gte, lt, sql } from "drizzle-orm";
import {
  AUTOMATIC,
  AUTOMATIC_DAY,
  AUTOMATIC_HOUR,
  DOMAIN_DAY,
  DOMAIN_HOUR,
  OTHERS_DAY,
  OTHERS_HOUR,
  USER_DAY,
  USER_HOUR,
} from "../../core/send/limits.ts";
import { rate, stop } from "../store/outbound.schema.ts";
import type { Purpose, SendLimits, SubmitRefusal, Writer } from "./contract.ts";
import type { OutboundDatabase } from "./database.ts";

/** By whom, for the count; null: it is our own, such as a report of failure, and is not counted. */
export function whoOf(writer: Writer): string | null {
  switch (writer.kind) {
    case "mailbox":
      return mailboxWho(writer.account);
    case "relay":
      return writer.others ? `${writer.name}${FOR_OTHERS}` : writer.name;
    case "automatic":
      return automaticWho(writer.purpose, writer.account);
    case "system":
      return null;
  }
}

export const automaticWho = (purpose: Purpose, account: number): string => `${purpose} of mailbox ${account}`;

/** @returns null where a person or a server sends */
export function purposeOf(who: string): Purpose | null {
  return (Object.keys(AUTOMATIC) as Purpose[]).find((purpose) => who.startsWith(`${purpose} of `)) ?? null;
}

/** What a server passes on for senders that are nobody's here. */
const FOR_OTHERS = " for others";

export const mailboxWho = (account: number): string => `mailbox ${account}`;
/** @returns null where it is no mailbox */
export function accountOf(who: string): number | null {
  const [, account] = /^mailbox (\d+)$/.exec(who) ?? [];
  return account === undefined ? null : Number(account);
}

export function limitsOf({ limits }: { readonly limits: Partial<SendLimits> }): SendLimits {
  return { userHour: USER_HOUR, userDay: USER_DAY, domainHour: DOMAIN_HOUR, domainDay: DOMAIN_DAY, ...limits };
}

export interface Stop {
  readonly who: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly actor: string;
  readonly why: string;
}

/** What was counted for whom. */
export interface Counted {
  readonly who: string;
  readonly recipients: number;
}

export interface Admission {
  readonly who: string | null;
  readonly recipients: number;
  readonly limits: SendLimits;
}

const HOUR = 3600_000;
const DOMAIN = "domain";
/** All that is sent by itself for a domain's mailboxes: apart from DOMAIN, which it must not use up. */
const ALL_AUTOMATIC = "automatic";

export class Rates {
  readonly #db: OutboundDatabase;

  constructor(db: OutboundDatabase) {
    this.#db = db;
  }

  /** Counts it, or says why not. `stopped`: it was stopped just now; `limited`: the domain's limit is reached. */
  admit(
    { who, recipients, limits }: Admission,
    now: number,
  ): { refusal: SubmitRefusal; news: "stopped" | "limited" | null } | null {
    if (who === null) return null;
    const purpose = purposeOf(who);
    if (purpose !== null) return this.#admitAutomatic(who, purpose, recipients, now);
    const stopped = this.#db.select().from(stop).where(eq(stop.who, who)).get();
    if (stopped) return { refusal: stoppedRefusal(stopped.why), news: null };
    if (accountOf(who) !== null) {
      const over = this.#over(who, recipients, limits.userHour, limits.userDay, now);
      if (over) {
        this.stop({ who, at: now, actor: "system", why: over });
        return { refusal: stoppedRefusal(over), news: "stopped" };
      }
    }
    if (who.endsWith(FOR_OTHERS)) {
      const over = this.#over(who, recipients, OTHERS_HOUR, OTHERS_DAY, now);
      const detail = `This server has passed on too much for senders of other domains: ${over}. Try again later.`;
      if (over) return { refusal: { reason: "rate", detail }, news: "limited" };
    }
    const over = this.#over(DOMAIN, recipients, limits.domainHour, limits.domainDay, now);
    if (over) {
      const detail = `The domain has sent too much: ${over}. Nothing was sent; try again later.`;
      return { refusal: { reason: "rate", detail }, news: "limited" };
    }
    this.#count(who, recipients, now);
    this.#count(DOMAIN, recipients, now);
    return null;
  }

  #admitAutomatic(who: string, purpose: Purpose, recipients: number, now: number) {
    const { hour, day } = AUTOMATIC[purpose];
    const over =
      this.#over(who, recipients, hour, day, now) ??
      this.#over(ALL_AUTOMATIC, recipients, AUTOMATIC_HOUR, AUTOMATIC_DAY, now);
    if (over !== null) {
      const detail = `Too much would be sent by itself: ${over}. Nothing was sent; try again later.`;
      return { refusal: { reason: "rate", detail } as const, news: "limited" as const };
    }
    this.#count(who, recipients, now);
    this.#count(ALL_AUTOMATIC, recipients, now);
    return null;
  }

  /** As far as the hour has not changed since. */
  takeBack({ who, recipients }: Counted, now: number): void {
    const hour = Math.floor(now / HOUR);
    for (const one of [who, purposeOf(who) === null ? DOMAIN : ALL_AUTOMATIC]) {
      this.#db
        .update(rate)
        .set({ recipients: sql`max(0, ${rate.recipients} - ${recipients})` })
        .where(and(eq(rate.who, one), eq(rate.hour, hour)))
        .run();
    }
  }

  stop(row: Stop): void {
    this.#db.insert(stop).values(row).onConflictDoNothing().run();
  }

  /** @returns false where it was not stopped. What it sent so far does not count any more: else it would stop again at once */
  release(who: string): boolean {
    const gone = this.#db.delete(stop).where(eq(stop.who, who)).returning({ who: stop.who }).all().length > 0;
    if (gone) this.#db.delete(rate).where(eq(rate.who, who)).run();
    return gone;
  }

  stops(): Stop[] {
    return this.#db.select().from(stop).orderBy(stop.at).all();
  }

  isStopped(who: string): boolean {
    return this.#db.select({ who: stop.who }).from(stop).where(eq(stop.who, who)).get() !== undefined;
  }

  /** @returns in words, what would be too much */
  #over(who: string, recipients: number, hourly: number, daily: number, now: number): string | null {
    const hour = Math.floor(now / HOUR);
    const rows = this.#db
      .select()
      .from(rate)
      .where(and(eq(rate.who, who), gte(rate.hour, hour - 23)))
      .all();
    const inHour = (wanted: number) => rows.find((row) => row.hour === wanted)?.recipients ?? 0;
    // The hour before counts as far as it is less than an hour ago.
    const lastHour = inHour(hour) + Math.floor(inHour(hour - 1) * (1 - (now % HOUR) / HOUR));
    if (lastHour + recipients > hourly) return `more than ${hourly} recipients within an hour`;
    const lastDay = rows.reduce((sum, row) => sum + row.recipients, 0);
    return lastDay + recipients > daily ? `more than ${daily} recipients within a day` : null;
  }

  #count(who: string, recipients: number, now: number): void {
    const hour = Math.floor(now / HOUR);
    const known = and(eq(rate.who, who), eq(rate.hour, hour));
    const before = this.#db.select().from(rate).where(known).get();
    if (before) {
      this.#db
        .update(rate)
        .set({ recipients: before.recipients + recipients })
        .where(known)
        .run();
      return;
    }
    this.#db.insert(rate).values({ who, hour, recipients }).run();
    this.#db
      .delete(rate)
      .where(lt(rate.hour, hour - 24))
      .run();
  }
}

function stoppedRefusal(why: string): SubmitRefusal {
  const detail = `Sending from this mailbox was stopped: ${why}. Nothing was sent. An administrator can let it go on.`;
  return { reason: "stopped", detail };
}
