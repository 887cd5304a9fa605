/** Two mailboxes to which the same happens; one of them is moved meanwhile, and its mover dies. In the end they are the same. */
import { env } from "cloudflare:test";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { moveMailboxes } from "../../../src/worker/move/drive.ts";
import { backlogPage, markRefused, removeDelivered } from "../../../src/worker/store/backlog.ts";
import { addUser, json } from "../access/client.ts";
import { createOrganisation, letter, must, send } from "../receive/organisation.ts";
import { dying } from "./dying.ts";
import { beginMove, type Contents, contents, find, finish, leftovers, shard } from "./mailbox.ts";

const DOMAIN = "twins.example.org";
const MINUTE = 60_000;
let domainId = 0;
let count = 0;

beforeAll(async () => {
  await createOrganisation(DOMAIN);
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
  domainId =
    (await env.DIRECTORY.prepare("SELECT id FROM domain WHERE name = ?1").bind(DOMAIN).first<number>("id")) ?? 0;
});

interface Twin {
  readonly address: string;
  readonly token: string;
  readonly sent: Uint8Array<ArrayBuffer>[];
}

type Act =
  | { readonly kind: "arrive" }
  | { readonly kind: "repeat" | "flag" | "trash" | "empty" | "move" | "deliver" | "refuse"; readonly at: number }
  | { readonly kind: "folder" };
type Event =
  | Act
  | { readonly kind: "step"; readonly steps: number }
  | { readonly kind: "death"; readonly at: number; readonly after: boolean };

const at = fc.nat(7);
const act = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Event>({ kind: "arrive" }) },
  { weight: 1, arbitrary: fc.constant<Event>({ kind: "folder" }) },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constantFrom("repeat", "flag", "trash", "empty", "move", "deliver", "refuse"),
      at,
    }) as fc.Arbitrary<Event>,
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("step" as const), steps: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("death" as const),
      at: fc.integer({ min: 1, max: 30 }),
      after: fc.boolean(),
    }),
  },
);

interface Item {
  readonly id: string;
}
async function list({ token }: Pick<Twin, "token">, folder: string): Promise<Item[]> {
  const { status, body } = await json("GET", `/api/mail/messages?folder=${folder}&limit=100`, { token });
  if (status !== 200) throw new Error(`${folder} could not be read: ${status} ${JSON.stringify(body)}`);
  return (body.items as Item[]).toReversed();
}
const pick = async (twin: Twin, folder: string, index: number) => {
  const items = await list(twin, folder);
  return items.length === 0 ? undefined : items[index % items.length];
};

/** @returns whether it was done; a sender or a person comes again else */
async function happens(twin: Twin, event: Act, octets: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const { token } = twin;
  const done = ({ status }: { status: number }) => status < 300;
  switch (event.kind) {
    case "arrive":
    case "repeat": {
      const again = event.kind === "repeat" ? twin.sent[event.at % Math.max(1, twin.sent.length)] : undefined;
      const { final } = await send([twin.address], again ?? octets);
      if (final?.code === 250 && !again) twin.sent.push(octets);
      return final?.code === 250;
    }
    case "flag": {
      const message = await pick(twin, "inbox", event.at);
      const body = event.at % 2 === 0 ? { seen: true } : { flagged: event.at % 3 === 0 };
      return !message || done(await json("PATCH", `/api/mail/messages/${message.id}`, { token, body }));
    }
    case "move": {
      const message = await pick(twin, event.at % 2 === 0 ? "inbox" : "junk", event.at);
      const body = { folder: event.at % 2 === 0 ? "junk" : "inbox" };
      return !message || done(await json("PATCH", `/api/mail/messages/${message.id}`, { token, body }));
    }
    case "trash":
    case "empty": {
      const message = await pick(twin, event.kind === "trash" ? "inbox" : "trash", event.at);
      return !message || done(await json("DELETE", `/api/mail/messages/${message.id}`, { token }));
    }
    case "deliver":
    case "refuse":
      return givenBack(twin, event);
    case "folder":
      return madeFolder(twin, twin.sent.length);
  }
}

/** As failback does: what waits is read, and settled by what was read, on the shard that it was read from. */
async function givenBack(twin: Twin, { kind, at }: { readonly kind: string; readonly at: number }): Promise<boolean> {
  const { id, shard: number, db } = await find(twin.address);
  const waiting = (await backlogPage(db, domainId, null, 1000)).filter(({ account }) => account === id);
  const one = waiting[at % Math.max(1, waiting.length)];
  // Behind the fence nothing is seen to wait: the next run comes.
  const fenced = await shard(number).prepare("SELECT move FROM account WHERE id = ?1").bind(id).first<string>("move");
  if (fenced === "fenced" || fenced === "arriving") return false;
  if (one && kind === "deliver") await removeDelivered(db, [one.id]);
  if (one && kind === "refuse") await markRefused(db, [one.id], '{"code":550,"enhanced":"5.1.1","text":"No"}');
  return true;
}

/** As a mail client will: a folder within a folder. */
async function madeFolder({ address }: Twin, number: number): Promise<boolean> {
  const { id, db } = await find(address);
  try {
    await db.batch([
      db.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1").bind(id),
      db
        .prepare(
          `INSERT INTO folder (account, parent, name, uidvalidity, modseq)
           SELECT a.id, (SELECT max(id) FROM folder WHERE account = a.id), ?2, 5, a.seq FROM account a WHERE a.id = ?1
           ON CONFLICT DO NOTHING`,
        )
        .bind(id, `Folder ${number}`),
    ]);
    return true;
  } catch (error) {
    if (String(error).includes("the mailbox has moved")) return false;
    throw error;
  }
}

/** What is not of the address or of the moment. */
function comparable({ account, folders, messages, placements, found }: Contents) {
  const without = (row: Readonly<Record<string, unknown>>, ...names: string[]) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)));
  return {
    account,
    found,
    folders: folders.map((row) => without(row as Record<string, unknown>, "uidvalidity")),
    messages: messages.map((row) => without(row, "once", "thread", "at", "key", "meta", "size")),
    placements: placements.map((row) => ({ ...without(row, "once"), waiting: Math.sign(Number(row.waiting)) })),
  };
}

async function twin(name: string): Promise<Twin> {
  const address = `${name}${count}@${DOMAIN}`;
  return { address, token: await addUser(address), sent: [] };
}

async function play(events: readonly Event[]): Promise<void> {
  count += 1;
  const [moves, stays] = [await twin("moves"), await twin("stays")];
  const { id } = await beginMove(moves.address, 1);
  let now = Date.now();
  const later = () => {
    now += MINUTE;
    return now;
  };
  for (const event of events) {
    if (event.kind === "step") await moveMailboxes(env as Env, later, id, event.steps);
    else if (event.kind === "death") {
      const mover = dying(event);
      await moveMailboxes(mover.env, later, id, 6).catch(() => "dead");
    } else {
      const octets = letter();
      expect(await happens(stays, event, octets)).toBe(true);
      // Whoever is turned away comes again, and the mover has gone on meanwhile.
      for (let tries = 0; !(await happens(moves, event, octets)); tries++) {
        if (tries === 5) throw new Error(`${JSON.stringify(event)} was never possible`);
        await moveMailboxes(env as Env, later, id, 3);
      }
    }
  }
  await finish(moves.address, later());
  const other = await find(stays.address);
  expect((await find(moves.address)).shard).toBe(1);
  expect(comparable(await contents(env.SHARD_1, id))).toEqual(comparable(await contents(other.db, other.id)));
  expect(await leftovers(env.SHARD_0, id)).toBe(0);
}

describe("whatever happens to a mailbox while it moves", { timeout: 300_000 }, () => {
  it("it ends as the one that stayed where it was", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 8, maxLength: 24 }), (events) => play(events)),
      { numRuns: 12, endOnFailure: true },
    );
  });

  it("the mover may die at any of its calls, before and after it took effect", async () => {
    count += 1;
    const { address, token } = await twin("dies");
    for (let n = 0; n < 3; n++) await send([address], letter());
    const [first] = await list({ token }, "inbox");
    await json("DELETE", `/api/mail/messages/${first?.id}`, { token });
    const { id } = await find(address);
    const before = await contents(env.SHARD_0, id);
    let now = Date.now();
    let target = 1;
    let deaths = 0;
    for (const after of [false, true]) {
      for (let at = 1; ; at++) {
        await beginMove(address, target, now);
        // From here on the clock stands still for the mover: it clears away at once.
        const mover = dying({ at, after });
        const until = () => {
          now += 1;
          return now;
        };
        await moveMailboxes(mover.env, until, id).catch(() => "dead");
        if (mover.calls() < at) break;
        deaths += 1;
        now = (await finish(address, now + MINUTE)) + MINUTE;
        expect(await contents(shard(target), id), `died at ${at}`).toEqual(before);
        expect(await leftovers(shard(1 - target), id), `died at ${at}`).toBe(0);
        target = 1 - target;
      }
      now = (await finish(address, now + MINUTE)) + MINUTE;
      target = 1 - target;
    }
    expect(deaths).toBeGreaterThan(60);
  });

  it("mail that arrives just before any call of the mover is there once, with a UID above all before it", async () => {
    count += 1;
    const { address, token } = await twin("busy");
    const { id } = await beginMove(address, 1);
    const arrivals: Promise<string>[] = [];
    const subjects: string[] = [];
    const arrive = async (): Promise<void> => {
      const subject = `Arrival ${arrivals.length}`;
      subjects.push(subject);
      const octets = letter({ Subject: subject });
      const sending = send([address], octets).then(async ({ final }) => {
        // Its sender comes again where it met the fence for too long.
        return final?.code === 250 ? subject : (await send([address], octets)).final?.code === 250 ? subject : "lost";
      });
      arrivals.push(sending);
      await Promise.race([sending, new Promise((resolve) => setTimeout(resolve, 300))]);
    };
    const mover = dying({ at: 0, after: false, meanwhile: (call) => (call % 3 === 0 ? arrive() : Promise.resolve()) });
    for (let run = 0; run < 40 && (await find(address)).shard === 0; run++) {
      await moveMailboxes(mover.env, Date.now, id, 20);
    }
    await Promise.all(arrivals);
    await finish(address, Date.now() + MINUTE);
    expect(await Promise.all(arrivals)).toEqual(subjects);
    const { messages, placements } = await contents(env.SHARD_1, id);
    expect(messages.map(({ subject }) => subject).sort()).toEqual([...subjects].sort());
    const uids = placements.map(({ uid }) => uid);
    expect(new Set(uids).size).toBe(subjects.length);
    expect((await list({ token }, "inbox")).length).toBe(Math.min(100, subjects.length));
    expect(await leftovers(env.SHARD_0, id)).toBe(0);
  });
});
