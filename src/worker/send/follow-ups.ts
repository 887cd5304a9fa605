/**
 * What follows the arrival of a message in emergency mode: its sender hears that its recipient is away (answer.ts), a copy goes to a
 * private address (forward.ts). The arrival's own batch has noted it, so it is not forgotten; what is queued is named after the
 * message, so it is not doubled (decision 022).
 */
import { authenticationResults } from "../../core/authentication-results.ts";
import { MAX_HEADER_BYTES, STORE_TIMEOUT } from "../../core/limits.ts";
import { type Header, readHeader } from "../../core/mime/header.ts";
import { nextDelay } from "../../core/retry.ts";
import {
  FIRST_SEND_RETRY,
  FOLLOW_UP_PAGE,
  FOLLOW_UP_TIME,
  LAST_SEND_RETRY,
  SEND_EXPIRY,
} from "../../core/send/limits.ts";
import { getRaw } from "../archive/raw.ts";
import { within } from "../store/deadline.ts";
import { dropFollowUp, dueFollowUps, type FollowUp, postponeFollowUp } from "../store/follow-ups.ts";
import { type MessageRow, messageOfAccount } from "../store/messages.ts";
import { onArrivalOf } from "../store/on-arrival.ts";
import { nextDue } from "../store/outgoing.ts";
import { type SendingDomain, sendingDomain } from "../store/outgoing-settings.ts";
import { type Shard, shardDb, shardsInUse } from "../store/shard.ts";
import { answer } from "./answer.ts";
import { forward } from "./forward.ts";
import { type Author, authorOf } from "./person.ts";
import type { RunParts } from "./run.ts";

export interface Arrival {
  readonly followUp: FollowUp;
  readonly shard: Shard;
  readonly message: MessageRow;
  readonly header: Header;
  readonly owner: Author;
  readonly sending: SendingDomain;
}

/** `done`: nothing is left to be done, or it never was to be. `settled`: so it is, and it has been noted. `later`: not now. */
export type Followed = "done" | "settled" | "later";

export class FollowUps {
  readonly #parts: RunParts;
  readonly #began: number;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#began = parts.world.now();
  }

  /** All that is due, one after the other. Never rejects. @returns unix milliseconds of the next; null: nothing is noted */
  async run(): Promise<number | null> {
    const { world, domain } = this.#parts;
    try {
      let next: number | null = null;
      for (const shard of await shardsInUse(world.env)) {
        if (!(await this.#work(shard))) return world.now();
        const due = await nextDue(shard.db, domain.id, "follow_up");
        if (due !== null) next = Math.min(due, next ?? due);
      }
      return next;
    } catch (error) {
      console.error("what follows arrivals was cut off: the stores do not answer", domain.name, String(error));
      return world.now() + FIRST_SEND_RETRY;
    }
  }

  /** @returns whether that was all */
  async #work(shard: Shard): Promise<boolean> {
    const { world, domain } = this.#parts;
    for (;;) {
      const due = await dueFollowUps(shard.db, domain.id, world.now());
      for (const followUp of due) {
        if (world.now() - this.#began >= FOLLOW_UP_TIME) return false;
        await this.#one(shard, followUp);
      }
      if (due.length < FOLLOW_UP_PAGE) return true;
    }
  }

  /** @throws where not even that it failed can be noted */
  async #one(shard: Shard, followUp: FollowUp): Promise<void> {
    const { world, domain } = this.#parts;
    let followed: Followed = "later";
    try {
      followed = await this.#follow(shard, followUp);
    } catch (error) {
      console.error("what follows an arrival could not be done yet", domain.name, followUp.message, String(error));
    }
    if (followed === "done") await dropFollowUp(shard.db, followUp);
    if (followed !== "later") return;
    const pause = nextDelay(followUp.attempts + 1, world.random(), { first: FIRST_SEND_RETRY, last: LAST_SEND_RETRY });
    await postponeFollowUp(shard.db, domain.id, followUp, world.now() + pause);
  }

  async #follow(shard: Shard, followUp: FollowUp): Promise<Followed> {
    const { world, domain } = this.#parts;
    const { env } = world;
    const { account } = followUp;
    const message = await messageOfAccount(shard.db, account, followUp.message);
    if (!message) return "done";
    const [owner, sending] = await Promise.all([
      authorOf(env, { mailbox: account, domain: domain.id }),
      sendingDomain(env.DIRECTORY, domain.name),
    ]);
    // Removed since; its mail went with it.
    if (!owner || !sending) return "done";
    if (world.now() >= message.at + SEND_EXPIRY) {
      const data = { mailbox: owner.address, message: message.meta.receipt.id };
      this.#parts.rarely(owner.address, { kind: "follow_up_given_up", actor: "sending", data });
      return "done";
    }
    // What its owner has set lies where the mailbox lives now.
    const { vacation, forwarding } = await onArrivalOf(shardDb(env, owner.writer.shard), account);
    const header = await this.#headerOf(message);
    if (!header) return "done";
    const arrival: Arrival = { followUp, shard, message, header, owner, sending };
    const results = authenticationResults(header, message.meta.receipt.client);
    const answered = await answer(this.#parts, arrival, vacation, results);
    return answered === "done" ? forward(this.#parts, arrival, forwarding.address) : answered;
  }

  /** Null where the octets are not there any more. */
  async #headerOf({ key, size }: MessageRow): Promise<Header | null> {
    const range = { offset: 0, length: Math.min(size, MAX_HEADER_BYTES) };
    const raw = await within(getRaw(this.#parts.world.env.MAIL, key, range), STORE_TIMEOUT, "R2 get");
    if (!raw) return null;
    return readHeader(new Uint8Array(await within(raw.arrayBuffer(), STORE_TIMEOUT, "R2 read")));
  }
}
