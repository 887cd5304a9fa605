import { createExecutionContext, env, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import {
  EVENT_STREAM_RETRY,
  EVENT_STREAM_TIME,
  MAX_WATCHERS_PER_ACCOUNT,
  WATCH_PING,
} from "../../../src/core/protocol/push/limits.ts";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { eventStream } from "../../../src/worker/push/stream.ts";
import { createOrganisation, letter, send } from "../receive/organisation.ts";
import { addCustomer, addDomain, addUser, asOperator, call, json, OPERATOR } from "./client.ts";

let alice = "";
let bob = "";
const open: Reader[] = [];

beforeAll(async () => {
  await addDomain("example.org");
  await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
  alice = await addUser("alice@example.org");
  bob = await addUser("bob@example.org");
});

afterEach(async () => {
  vi.useRealTimers();
  for (const reader of open.splice(0)) await reader.cancel();
});

interface Event {
  readonly event: string;
  readonly id?: string;
  readonly data: Record<string, unknown>;
}

/** Reads a stream of events as a browser does. */
class Reader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly events: Event[] = [];
  text = "";
  ended = false;

  constructor(response: Response) {
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("cache-control")).toBe("no-store");
    if (!response.body) throw new Error("no body");
    this.#reader = response.body.getReader();
    open.push(this);
    void this.#read();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      this.text += decoder.decode(value);
      rest += decoder.decode(value);
      for (let at = rest.indexOf("\n\n"); at >= 0; at = rest.indexOf("\n\n")) {
        this.#take(rest.slice(0, at));
        rest = rest.slice(at + 2);
      }
    }
    this.ended = true;
  }

  #take(block: string): void {
    const fields = new Map(block.split("\n").map((line) => line.split(/: ?(.*)/s, 2) as [string, string]));
    const data = fields.get("data");
    if (data === undefined) return;
    const id = fields.get("id");
    const event = fields.get("event") ?? "message";
    this.events.push({ event, data: JSON.parse(data), ...(id === undefined ? {} : { id }) });
  }

  async next(): Promise<Event> {
    await vi.waitFor(() => expect(this.events.length).toBeGreaterThan(0), { timeout: 20_000 });
    return this.events.shift() as Event;
  }

  async over(): Promise<void> {
    await vi.waitFor(() => expect(this.ended).toBe(true), { timeout: 20_000 });
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

async function mailEvents(token: string, since?: string): Promise<Reader> {
  const headers = since === undefined ? {} : { "last-event-id": since };
  return new Reader(await call("GET", "/api/mail/events", { token, headers }));
}

const watched = async (local: string): Promise<boolean | undefined> =>
  (await env.DOMAIN.getByName("example.org").plan(local))?.watched;

async function inbox(token: string): Promise<{ id: string }[]> {
  return (await json("GET", "/api/mail/messages", { token })).body.items as { id: string }[];
}

describe("a user's stream of events", () => {
  it("says the mailbox's state at once, and each new one with its number: mail, a mark, a move", async () => {
    const reader = await mailEvents(alice);
    const first = await reader.next();
    expect(first).toEqual({ event: "state", id: first.id, data: { state: first.id } });
    const states = [Number(first.id)];
    await send(["alice@example.org"], letter());
    states.push(Number((await reader.next()).id));
    const [message] = await inbox(alice);
    await json("PATCH", `/api/mail/messages/${message?.id}`, { token: alice, body: { seen: true } });
    states.push(Number((await reader.next()).id));
    await json("DELETE", `/api/mail/messages/${message?.id}`, { token: alice });
    states.push(Number((await reader.next()).id));
    const begin = states[0] ?? 0;
    expect(states).toEqual([begin, begin + 1, begin + 2, begin + 3]);
    expect(reader.text).toContain(`retry: ${EVENT_STREAM_RETRY}\n\n`);
  });

  it("says nothing of what changes nothing, and nothing of others' mail", async () => {
    const reader = await mailEvents(bob);
    await reader.next();
    await send(["alice@example.org"], letter());
    await send(["bob@example.org"], letter());
    await reader.next();
    const [message] = await inbox(bob);
    const path = `/api/mail/messages/${message?.id}`;
    await json("PATCH", path, { token: bob, body: { flagged: true } });
    await reader.next();
    await json("PATCH", path, { token: bob, body: { flagged: true } });
    await json("PATCH", path, { token: bob, body: { flagged: false } });
    const { id } = await reader.next();
    expect(reader.events).toEqual([]);
    const { seq } = (await env.SHARD_0.prepare(
      "SELECT seq FROM account WHERE id = (SELECT account FROM placement WHERE id = ?1)",
    )
      .bind(Number(message?.id))
      .first<{ seq: number }>()) ?? { seq: -1 };
    expect(id).toBe(String(seq));
  });

  it("goes on where it ended: with the last number nothing is said until something is new", async () => {
    const { id } = await (await mailEvents(alice)).next();
    const again = await mailEvents(alice, id);
    await send(["alice@example.org"], letter());
    expect(Number((await again.next()).id)).toBe(Number(id) + 1);
    const late = await mailEvents(alice, id);
    expect(Number((await late.next()).id)).toBe(Number(id) + 1);
    const foreign = await mailEvents(alice, "of another service");
    expect(Number((await foreign.next()).id)).toBe(Number(id) + 1);
  });

  it("after a lost connection says the state, and the changes since the last number are exactly what was missed", async () => {
    await send(["alice@example.org"], letter());
    const { items } = (await json("GET", "/api/mail/messages", { token: alice })).body as { items: { id: string }[] };
    const before = await mailEvents(alice);
    const { id: known } = await before.next();
    await before.cancel();

    await send(["alice@example.org"], letter());
    const [arrived] = await inbox(alice);
    await json("PATCH", `/api/mail/messages/${items[0]?.id}`, { token: alice, body: { seen: true } });
    await json("DELETE", `/api/mail/messages/${items[1]?.id}`, { token: alice });
    const made = await json("POST", "/api/mail/folders", { token: alice, body: { name: "While away" } });
    const trash = (await json("GET", "/api/mail/messages?folder=trash", { token: alice })).body.items as {
      id: string;
    }[];

    const { id: now } = await (await mailEvents(alice, known)).next();
    const missed = await json("GET", `/api/mail/changes?since=${known}`, { token: alice });
    expect(missed.body).toMatchObject({
      oldState: known,
      newState: now,
      hasMore: false,
      folders: { created: [made.body.id], destroyed: [] },
    });
    const { created, updated, destroyed } = missed.body.messages as Record<string, string[]>;
    expect(created?.toSorted()).toEqual([arrived?.id, trash[0]?.id].toSorted());
    expect([updated, destroyed]).toEqual([[items[0]?.id], [items[1]?.id]]);
  });

  it("says that the archive has something new where the mail went to the origin, and the state is the same", async () => {
    const { domain } = await createOrganisation("archived.example.org");
    const token = await addUser(`eva@${domain}`);
    await asOperator("PUT", `/api/domains/${domain}/mailboxes/eva@${domain}`, { covered: true });
    const reader = await mailEvents(token);
    await reader.next();
    await send([`eva@${domain}`], letter());
    expect(await reader.next()).toEqual({ event: "archive", data: {} });
    expect(reader.events).toEqual([]);
  });

  it("that is left frees its place at the domain's object", async () => {
    const reader = await mailEvents(bob);
    await reader.next();
    expect(await watched("bob")).toBe(true);
    await reader.cancel();
    await vi.waitFor(async () => expect(await watched("bob")).toBe(false), { timeout: 20_000 });
  });

  it("ends with the login, and says why", async () => {
    const eve = await addUser("eve@example.org");
    const reader = await mailEvents(eve);
    await reader.next();
    await asOperator("PUT", "/api/domains/example.org/mailboxes/eve@example.org", { password: "another password" });
    expect(await reader.next()).toEqual({ event: "end", data: { reason: "login" } });
    await reader.over();
    expect((await call("GET", "/api/mail/events", { token: eve })).status).toBe(401);
  });

  it("ends with the mailbox", async () => {
    const dan = await addUser("dan@example.org");
    const reader = await mailEvents(dan);
    await reader.next();
    await asOperator("DELETE", "/api/domains/example.org/mailboxes/dan@example.org");
    expect(await reader.next()).toEqual({ event: "end", data: { reason: "gone" } });
    await reader.over();
  });

  it("is one of so many for a mailbox", async () => {
    const carol = await addUser("carol@example.org");
    for (let count = 0; count < MAX_WATCHERS_PER_ACCOUNT; count++) await mailEvents(carol);
    const { status, body } = await json("GET", "/api/mail/events", { token: carol });
    expect([status, body.code]).toEqual([429, "too_many_watchers"]);
  });

  it("is refused with a sentence where the domain's object does not answer", async () => {
    const DOMAIN = {
      getByName: () => ({ fetch: () => Promise.reject(new Error("away")) }),
    } as unknown as typeof env.DOMAIN;
    const { status, body } = await json("GET", "/api/mail/events", { token: alice, env: { DOMAIN } });
    expect([status, body.detail]).toEqual([503, "Changes cannot be watched now; try again."]);
  });

  it("ends when the object drops it, so that its reader comes again", async () => {
    const reader = await mailEvents(alice);
    await reader.next();
    await runInDurableObject(env.DOMAIN.getByName("example.org"), (_object: DomainObject, state) => {
      for (const socket of state.getWebSockets()) socket.close(1012, "restart");
    });
    await reader.over();
    expect(reader.events).toEqual([]);
  });
});

describe("a stream of events", () => {
  const account = async () =>
    (await env.DIRECTORY.prepare("SELECT id FROM mailbox WHERE address = 'alice@example.org'").first<number>("id")) ??
    0;
  const begin = async (options: Parameters<typeof eventStream>[3]) => {
    const watch = { kind: "account", account: await account(), since: null } as const;
    const response = await eventStream(env, "example.org", watch, options);
    if (typeof response === "string") throw new Error(response);
    return new Reader(response);
  };
  const say = (frame: { op: string }) => (frame.op === "changed" ? { data: JSON.stringify({ op: frame.op }) } : null);

  it("has a comment now and then, and ends by itself before anybody else ends it", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "setTimeout", "clearTimeout", "clearInterval", "Date"] });
    const reader = await begin({ say });
    const step = WATCH_PING / 2;
    for (let time = 0; time < EVENT_STREAM_TIME && !reader.ended; time += step) {
      await vi.advanceTimersByTimeAsync(step);
      // The object's pongs come in real time.
      const { promise, resolve } = Promise.withResolvers<void>();
      queueMicrotask(resolve);
      await promise;
      await env.DOMAIN.getByName("example.org").ping();
    }
    await vi.advanceTimersByTimeAsync(1);
    expect(reader.text.split(": ping\n\n").length).toBeGreaterThan(20);
    vi.useRealTimers();
    await reader.over();
  });

  it("that is asked for one event ends after it", async () => {
    const reader = await begin({ say, once: true });
    expect(await reader.next()).toEqual({ event: "message", data: { op: "changed" } });
    await reader.over();
    expect(reader.events).toEqual([]);
  });

  it("pings in the words and at the pace that its reader asked for", async () => {
    const reader = await begin({
      say: () => null,
      ping: { milliseconds: 20, event: { event: "ping", data: '{"interval":1}' } },
    });
    expect(await reader.next()).toEqual({ event: "ping", data: { interval: 1 } });
    expect(await reader.next()).toEqual({ event: "ping", data: { interval: 1 } });
  });

  it("whose reader does not read ends, and nothing is kept for it", async () => {
    const watch = { kind: "account", account: await account(), since: null } as const;
    const data = JSON.stringify({ filler: "x".repeat(10_000) });
    const response = await eventStream(env, "example.org", watch, { say: () => ({ data }) });
    if (typeof response === "string") throw new Error(response);
    const object = env.DOMAIN.getByName("example.org");
    const changes = Array.from({ length: 50 }, (_, index) => ({ account: watch.account, seq: 1_000_000 + index }));
    await object.report([{ kind: "changed", changes }]);
    await vi.waitFor(async () => expect(await watched("alice")).toBe(false), { timeout: 20_000 });
    const octets = await new Response(response.body).arrayBuffer();
    expect(octets.byteLength).toBeLessThan(100_000);
  });
});

describe("the stream of a domain", () => {
  const path = "/api/domains/example.org/events/stream";

  it("says mode and backlog at once, and again when mail comes and the mode changes", async () => {
    const reader = new Reader(await call("GET", path, { token: OPERATOR }));
    const first = await reader.next();
    expect(first).toMatchObject({
      event: "domain",
      data: { mode: "emergency", modeCause: "chosen by token", run: null },
    });
    const { waiting } = first.data.backlog as { waiting: number };
    const ctx = createExecutionContext();
    await send(["alice@example.org"], letter());
    await waitOnExecutionContext(ctx);
    expect(await reader.next()).toMatchObject({ data: { backlog: { waiting: waiting + 1, refused: 0 } } });
    await asOperator("PUT", "/api/domains/example.org/mode", { mode: "normal" });
    await vi.waitFor(async () => expect((await reader.next()).data.mode).toBe("normal"), { timeout: 20_000 });
    await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
  });

  it("is its administrators' alone", async () => {
    await addDomain("stranger.example.net");
    const stranger = await addCustomer(7, "stranger.example.net");
    expect((await call("GET", path, { token: stranger })).status).toBe(404);
    expect((await call("GET", path, { token: alice })).status).toBe(403);
    expect((await call("GET", path)).status).toBe(401);
    expect((await call("GET", "/api/mail/events")).status).toBe(401);
    expect((await call("GET", "/api/mail/events", { token: OPERATOR })).status).toBe(403);
  });
});
