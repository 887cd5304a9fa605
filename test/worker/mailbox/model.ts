/**
 * A mailbox as it should be, in memory, beside the one in the tables: the same happens to both, and after each step they are the
 * same. Three clients follow by the changes alone, each at its own pace.
 */
import { expect } from "vitest";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { appendMessage } from "../../../src/worker/mailbox/append.ts";
import { currentState, stateAt } from "../../../src/worker/mailbox/changes.ts";
import type { Mailbox } from "../../../src/worker/mailbox/contract.ts";
import { alterFolder, folders, makeFolder, removeFolder } from "../../../src/worker/mailbox/folders.ts";
import { copyMessages, markMessages, moveMessages, removeMessages } from "../../../src/worker/mailbox/messages.ts";
import { expungeFolder } from "../../../src/worker/mailbox/sync.ts";
import { backlogPage, markRefused, removeDelivered } from "../../../src/worker/store/backlog.ts";
import { DELETED, readKeywords } from "../../../src/worker/store/flags.ts";
import { entriesOfFolder } from "../../../src/worker/store/placements.ts";
import { type FakeObject, type FaultyDatabase, tried } from "./faulty.ts";
import { Client } from "./model-client.ts";
import type { Event } from "./model-events.ts";
import { countsOf, Tree } from "./model-tree.ts";

export interface World {
  /** Its database fails where `fault` says. */
  readonly box: Mailbox;
  /** The number of its domain. */
  readonly domainId: number;
  /** Unix milliseconds. */
  readonly now: number;
  readonly faulty: FaultyDatabase;
  readonly object: FakeObject;
  /** So many messages of 100 octets come and wait for the origin; repeated by the same name, once. */
  arrive(name: string, count: number): Promise<void>;
}

interface Placed {
  readonly message: number;
  readonly folder: number;
  readonly size: number;
  flags: number;
  keywords: string[];
  /** 1: in the backlog, as long as it is not \Deleted; -1: refused. */
  waiting: -1 | 0 | 1;
  /** Failback is sending it: nobody takes it away. */
  flying: boolean;
}

const CLIENTS = 3;
const ALL = 10_000;

export class Model {
  readonly #world: World;
  readonly #tree = new Tree();
  readonly #placed = new Map<number, Placed>();
  /** Numbers of placements that were ever given. */
  readonly #given = new Set<number>();
  readonly #clients: Client[] = [];
  #acts = 0;

  private constructor(world: World) {
    this.#world = world;
  }

  static async begin(world: World): Promise<Model> {
    const model = new Model(world);
    for (const { id, name, parent, role } of await folders(world.box)) model.#tree.add(id, { name, parent, role });
    const state = stateAt(await currentState(world.box));
    for (let n = 0; n < CLIENTS; n++) model.#clients.push(new Client(state, model.#tree.changing()));
    return model;
  }

  /** The event, with its fault and the retry that follows; then everything is compared. */
  async step(event: Event): Promise<void> {
    this.#acts += 1;
    await this.#happen(event);
    await this.#compare();
  }

  async end(): Promise<void> {
    for (const client of this.#clients) await this.#sync(client, 2);
  }

  async #happen(event: Event): Promise<void> {
    const { box } = this.#world;
    switch (event.kind) {
      case "arrive":
        return this.#arrive(event);
      case "mark":
        return this.#mark(event);
      case "move":
        return this.#move(event);
      case "copy":
        return this.#copy(event);
      case "remove":
        return this.#remove(event);
      case "expunge": {
        const folder = this.#tree.nth(event.folder);
        const done = await this.#tries(event, () => expungeFolder(box, folder));
        const mine = this.#ids().filter((id) => this.#of(id).folder === folder && this.#of(id).flags & DELETED);
        expect(done).toMatchObject({ ok: true, value: { busy: [], hasMore: false } });
        for (const id of mine) this.#placed.delete(id);
        return;
      }
      case "append":
        return this.#append(event);
      case "make":
        return this.#make(event);
      case "alter":
        return this.#alter(event);
      case "drop":
        return this.#drop(event);
      case "claim":
      case "deliver":
      case "refuse":
        return this.#giveBack(event);
      case "sync": {
        const client = this.#clients[event.client % CLIENTS];
        return client && this.#sync(client, event.limit);
      }
    }
  }

  #tries<T>({ fault }: Event, act: () => Promise<T>): Promise<T> {
    return tried(this.#world, fault, act);
  }

  async #arrive(event: Extract<Event, { kind: "arrive" }>): Promise<void> {
    const name = `arrival ${this.#acts}`;
    await this.#tries(event, () => this.#world.arrive(name, event.count));
    const inbox = this.#tree.byRole("inbox");
    const fresh = await this.#adopt(inbox);
    expect(fresh).toHaveLength(event.count);
    for (const { id, message } of fresh) {
      this.#placed.set(id, { message, folder: inbox, size: 100, flags: 0, keywords: [], waiting: 1, flying: false });
    }
  }

  async #mark(event: Extract<Event, { kind: "mark" }>): Promise<void> {
    const ids = this.#chosen(event.which);
    const { add, remove, words } = event;
    const keywords = words === null ? {} : { keywords: words };
    const marked = await this.#tries(event, () => markMessages(this.#world.box, ids, { add, remove, ...keywords }));
    if (!marked.ok) throw new Error(marked.error.reason);
    const there = ids.filter((id) => this.#placed.has(id));
    expect(marked.value.rows.map(({ id }) => id)).toEqual(there.toSorted((a, b) => a - b));
    expect(marked.value.missing.toSorted()).toEqual(ids.filter((id) => !this.#placed.has(id)).toSorted());
    for (const { id, became } of marked.value.rows) {
      const one = this.#of(id);
      const busy = one.flying && (add & DELETED) !== 0;
      expect(became === "busy").toBe(busy);
      if (busy) continue;
      one.flags = (one.flags | add) & ~remove;
      if (words === null) continue;
      const kept = words.remove === "all" ? [] : one.keywords.filter((word) => !words.remove.includes(word));
      one.keywords = [...new Set([...kept, ...words.add])].sort();
    }
  }

  async #move(event: Extract<Event, { kind: "move" }>): Promise<void> {
    const ids = this.#chosen(event.which);
    const folder = this.#tree.nth(event.folder);
    const taking = await this.#tries(event, () => moveMessages(this.#world.box, ids, folder));
    if (this.#tree.isArchive(folder)) {
      expect(taking).toMatchObject({ ok: false, error: { reason: "read_only" } });
      return;
    }
    if (!taking.ok) throw new Error(taking.error.reason);
    const there = ids.filter((id) => this.#placed.has(id)).toSorted((a, b) => a - b);
    const { moved, busy } = taking.value;
    const held = there.filter((id) => this.#of(id).flying && this.#of(id).folder !== folder);
    expect(busy).toEqual(held);
    // What went there before is told again.
    const still = moved.map(({ id }) => id).filter((id) => this.#placed.has(id));
    expect(still).toEqual(there.filter((id) => !held.includes(id)));
    for (const { id, to } of moved) {
      const one = this.#placed.get(id);
      if (!one) continue;
      if (one.folder === folder) {
        expect(to).toBe(id);
        continue;
      }
      this.#isNew(to, folder);
      this.#placed.delete(id);
      this.#placed.set(to, { ...one, folder, waiting: 0 });
    }
  }

  async #copy(event: Extract<Event, { kind: "copy" }>): Promise<void> {
    const ids = this.#chosen(event.which);
    const folder = this.#tree.nth(event.folder);
    const name = `copy ${this.#acts}`;
    const copying = await this.#tries(event, () => copyMessages(this.#world.box, ids, folder, name));
    if (this.#tree.isArchive(folder)) {
      expect(copying).toMatchObject({ ok: false, error: { reason: "read_only" } });
      return;
    }
    if (!copying.ok) throw new Error(copying.error.reason);
    const there = ids.filter((id) => this.#placed.has(id)).toSorted((a, b) => a - b);
    expect(copying.value.copied.map(({ id }) => id)).toEqual(there);
    for (const { id, to } of copying.value.copied) {
      const one = this.#of(id);
      this.#isNew(to, folder);
      this.#placed.set(to, { ...one, keywords: [...one.keywords], folder, waiting: 0, flying: false });
    }
  }

  async #remove(event: Extract<Event, { kind: "remove" }>): Promise<void> {
    const ids = this.#chosen(event.which);
    const { marked } = event;
    const removal = await this.#tries(event, () => removeMessages(this.#world.box, ids, { marked }));
    if (!removal.ok) throw new Error(removal.error.reason);
    const held = ids.filter((id) => !marked && this.#placed.get(id)?.flying);
    expect(removal.value.busy.toSorted()).toEqual(held.toSorted());
    for (const id of ids) {
      const one = this.#placed.get(id);
      if (one && !held.includes(id) && (!marked || one.flags & DELETED)) this.#placed.delete(id);
    }
  }

  async #append(event: Extract<Event, { kind: "append" }>): Promise<void> {
    const { box, domainId, now } = this.#world;
    const folder = this.#tree.nth(event.folder);
    const request = `append ${this.#acts}`;
    const octets = new TextEncoder().encode(`Subject: own ${this.#acts}\r\n\r\n${"x".repeat(event.length)}\r\n`);
    const { flags, keywords } = event;
    const appended = await this.#tries(event, () => {
      const message = { folder, size: octets.length, flags, keywords, internalAt: null, request, domainId };
      return appendMessage(box, { ...message, octets: new Response(octets).body as ReadableStream<Uint8Array> }, now);
    });
    if (this.#tree.isArchive(folder)) {
      expect(appended).toMatchObject({ ok: false, error: { reason: "read_only" } });
      return;
    }
    if (!appended.ok) throw new Error(appended.error.reason);
    const { id } = appended.value;
    const [entry, ...more] = await this.#adopt(folder);
    expect([entry?.id, more]).toEqual([id, []]);
    const message = entry?.message ?? 0;
    this.#placed.set(id, {
      message,
      folder,
      size: octets.length,
      flags,
      keywords: [...keywords].sort(),
      waiting: 0,
      flying: false,
    });
  }

  async #make(event: Extract<Event, { kind: "make" }>): Promise<void> {
    const { box, now } = this.#world;
    const parent = event.parent === 0 ? 0 : this.#tree.nth(event.parent);
    const { name } = event;
    const request = `make ${this.#acts}`;
    const made = await this.#tries(event, () => makeFolder(box, { name, parent, request }, now));
    if (this.#tree.isArchive(parent)) expect(made).toMatchObject({ error: { reason: "no_parent" } });
    else if (this.#tree.taken(name, parent, 0)) expect(made).toMatchObject({ error: { reason: "exists" } });
    else {
      if (!made.ok) throw new Error(made.error.reason);
      expect(this.#tree.has(made.value.id)).toBe(false);
      this.#tree.add(made.value.id, { name: made.value.name, parent, role: null });
    }
  }

  async #alter(event: Extract<Event, { kind: "alter" }>): Promise<void> {
    const id = this.#tree.nth(event.folder);
    const before = this.#tree.get(id);
    if (!before) throw new Error("a folder that the model does not know");
    const name = event.name ?? before.name;
    const parent = event.parent === null ? before.parent : event.parent === 0 ? 0 : this.#tree.nth(event.parent);
    const altered = await this.#tries(event, () => alterFolder(this.#world.box, id, { name, parent }));
    const same = name === before.name && parent === before.parent;
    const reason = same ? null : this.#tree.whyNot(id, name, parent);
    if (reason !== null) {
      expect(altered).toMatchObject({ ok: false, error: { reason } });
      return;
    }
    expect(altered).toMatchObject({ ok: true, value: { id, name, parent } });
    before.name = name;
    before.parent = parent;
  }

  async #drop(event: Extract<Event, { kind: "drop" }>): Promise<void> {
    const id = this.#tree.nth(event.folder);
    const role = this.#tree.get(id)?.role ?? null;
    const inside = this.#ids().filter((one) => this.#of(one).folder === id);
    const removed = await this.#tries(event, () => removeFolder(this.#world.box, id, "trash"));
    if (role !== null) return expect(removed).toMatchObject({ error: { reason: "fixed" } });
    if (this.#tree.hasFolders(id)) {
      return expect(removed).toMatchObject({ error: { reason: "has_folders" } });
    }
    expect(removed).toMatchObject({ ok: true, value: { left: 0 } });
    this.#tree.delete(id);
    const trash = this.#tree.byRole("trash");
    const fresh = await this.#adopt(trash);
    const lost = inside.map((one) => this.#of(one));
    expect(fresh.map(({ message }) => message).sort()).toEqual(lost.map(({ message }) => message).sort());
    for (const one of inside) this.#placed.delete(one);
    // In the order in which they lay.
    for (const [n, { id: to }] of fresh.entries()) {
      const one = lost[n];
      if (one) this.#placed.set(to, { ...one, folder: trash, waiting: 0 });
    }
  }

  /** As failback does: what waits is read, claimed, sent, and settled. */
  async #giveBack(event: Extract<Event, { kind: "claim" | "deliver" | "refuse" }>): Promise<void> {
    const { box, domainId, object } = this.#world;
    const page = await backlogPage(box.db, domainId, null, ALL);
    const rows = page.filter(({ account }) => account === box.account);
    const mine = rows.map(({ id }) => id);
    const waits = this.#ids().filter((id) => this.#of(id).waiting === 1 && !(this.#of(id).flags & DELETED));
    expect(mine.toSorted((a, b) => a - b)).toEqual(waits);
    const { kind } = event;
    const flights = new Map(rows.map(({ id, key, meta }) => [id, flightKey(key, meta.envelope.to)]));
    if (kind === "claim") {
      for (const id of mine.filter((id) => !this.#of(id).flying).slice(0, event.count)) {
        this.#of(id).flying = true;
        object.claim(flights.get(id) ?? "");
      }
      return;
    }
    // What was claimed before has its outcome first.
    const some = mine.toSorted((a, b) => Number(this.#of(b).flying) - Number(this.#of(a).flying)).slice(0, event.count);
    await this.#tries(event, () =>
      kind === "deliver" ? removeDelivered(box.db, some) : markRefused(box.db, some, '{"code":550,"text":"no"}'),
    );
    for (const id of some) {
      object.land(flights.get(id) ?? "");
      if (kind === "deliver") this.#placed.delete(id);
      else Object.assign(this.#of(id), { waiting: -1, flying: false });
    }
  }

  async #sync(client: Client, limit: number): Promise<void> {
    await client.sync(this.#world.box, limit);
    client.expectSame({
      placed: this.#ids().map((id) => {
        const { flags, keywords, message } = this.#of(id);
        return { id, flags, keywords, message };
      }),
      folders: this.#tree.changing(),
    });
  }

  async #compare(): Promise<void> {
    const { box } = this.#world;
    const listed = await folders(box);
    expect(new Map(listed.map(({ id, name, parent, role }) => [id, { name, parent, role }]))).toEqual(this.#tree.all);
    for (const folder of listed) {
      if (folder.role === "archive") continue;
      const mine = this.#ids().filter((id) => this.#of(id).folder === folder.id);
      const page = { folder: folder.id, order: "oldest", deleted: true, limit: ALL } as const;
      const entries = await entriesOfFolder(box.db, box.account, page);
      expect(
        entries.map(({ id, message, flags, keywords, waiting }) => ({
          id,
          message,
          flags,
          keywords: readKeywords(keywords),
          waiting: Math.sign(waiting ?? 0),
        })),
      ).toEqual(
        mine.map((id) => {
          const { message, flags, keywords, waiting } = this.#of(id);
          return { id, message, flags, keywords, waiting };
        }),
      );
      expect(folder).toMatchObject(countsOf(mine.map((id) => this.#of(id))));
    }
  }

  /** What of a folder is new to the model, oldest first. */
  async #adopt(folder: number): Promise<{ readonly id: number; readonly message: number }[]> {
    const { box } = this.#world;
    const page = { folder, order: "oldest", deleted: true, limit: ALL } as const;
    const fresh = (await entriesOfFolder(box.db, box.account, page)).filter(({ id }) => !this.#placed.has(id));
    for (const { id } of fresh) this.#isNew(id, folder);
    return fresh;
  }

  #isNew(id: number, folder: number): void {
    expect(Math.floor(id / 2 ** 32)).toBe(folder);
    expect(this.#given.has(id), "a UID that was given before").toBe(false);
    this.#given.add(id);
  }

  /** @param which any numbers: they are taken modulo what there is, and some of what has gone */
  #chosen(which: readonly number[]): number[] {
    const known = [...this.#given];
    return [...new Set(which.flatMap((n) => known[n % Math.max(1, known.length)] ?? []))];
  }

  #ids(): number[] {
    return [...this.#placed.keys()].sort((a, b) => a - b);
  }

  #of(id: number): Placed {
    const one = this.#placed.get(id);
    if (!one) throw new Error(`the model has no placement ${id}`);
    return one;
  }
}
