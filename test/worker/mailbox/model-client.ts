/** A client that keeps a copy of a mailbox and asks for changes and nothing else. */
import { expect } from "vitest";
import { changesSince, type State } from "../../../src/worker/mailbox/changes.ts";
import type { Mailbox } from "../../../src/worker/mailbox/contract.ts";
import { readKeywords } from "../../../src/worker/store/flags.ts";

/** What there is, in the order of numbers. */
export interface Contents {
  readonly placed: readonly {
    readonly id: number;
    readonly message: number;
    readonly flags: number;
    readonly keywords: readonly string[];
  }[];
  readonly folders: readonly number[];
}

const MOST_PAGES = 10_000;

export class Client {
  #state: State;
  readonly #placed = new Map<number, string>();
  readonly #messages = new Set<number>();
  readonly #folders: Set<number>;

  constructor(state: State, folders: readonly number[]) {
    this.#state = state;
    this.#folders = new Set(folders);
  }

  /** Page by page to the end. @param limit of a page */
  async sync(box: Mailbox, limit: number): Promise<void> {
    for (let more = true, pages = 0; more; pages++) {
      if (pages > MOST_PAGES) throw new Error("the changes never end");
      const changes = await changesSince(box, this.#state, limit);
      if (!changes) throw new Error("changes were forgotten");
      const { messages, folders, placements } = changes;
      for (const id of messages.created) expect(this.#messages.has(id), "came, and was there").toBe(false);
      for (const id of messages.updated) expect(this.#messages.has(id), "differs, and was not there").toBe(true);
      // What came and went before it was told may be told as gone.
      for (const id of messages.destroyed) this.#messages.delete(id);
      for (const id of messages.created) this.#messages.add(id);
      for (const id of folders.created) expect(this.#folders.has(id), "a folder came, and was there").toBe(false);
      for (const id of folders.updated) expect(this.#folders.has(id), "a folder differs, and was not there").toBe(true);
      for (const id of folders.destroyed)
        expect(this.#folders.delete(id), "a folder went, and was not there").toBe(true);
      for (const id of folders.created) this.#folders.add(id);
      for (const { id } of placements.created) expect(this.#placed.has(id), "came, and was there").toBe(false);
      for (const { id } of placements.updated) expect(this.#placed.has(id), "differs, and was not there").toBe(true);
      for (const { id } of placements.destroyed) this.#placed.delete(id);
      for (const { id, flags, keywords } of [...placements.created, ...placements.updated])
        this.#placed.set(id, JSON.stringify([flags, readKeywords(keywords)]));
      this.#state = changes.newState;
      more = changes.hasMore;
    }
  }

  expectSame({ placed, folders }: Contents): void {
    expect([...this.#placed].sort(([a], [b]) => a - b)).toEqual(
      placed.map(({ id, flags, keywords }) => [id, JSON.stringify([flags, keywords])]),
    );
    expect([...this.#messages].sort()).toEqual([...new Set(placed.map(({ message }) => message))].sort());
    expect([...this.#folders].sort()).toEqual([...folders].sort());
  }
}
