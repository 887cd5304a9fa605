/**
 * What a mailbox costs its owner as it grows: rows and time of each act, with so many messages in its inbox. Run by `npm run bench
 * -- --only mailbox`; each result is a line `BENCH {…}`.
 */
import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import type { Query } from "../../../src/core/query/query.ts";
import type { Env } from "../../../src/worker/env.ts";
import { changesSince, currentState, stateAt } from "../../../src/worker/mailbox/changes.ts";
import { folders } from "../../../src/worker/mailbox/folders.ts";
import { markMessages, moveMessages } from "../../../src/worker/mailbox/messages.ts";
import { readFolder, readMessage } from "../../../src/worker/mailbox/reading.ts";
import { queryOf } from "../../../src/worker/search/asked.ts";
import { searchArchiveFolder, searchFolder } from "../../../src/worker/search/folder.ts";
import { FLAGGED, SEEN } from "../../../src/worker/store/flags.ts";
import { counted } from "../counters.ts";
import { newMailbox, receive, type TestMailbox } from "../mailbox/mailbox.ts";

/** Each act so often; the median counts. */
const TIMES = 15;
const PAGE = 50;
/** Real messages that the others are copies of. */
const TEMPLATES = 100;
/** Rows a statement: D1 gives each 30 s. */
const CHUNK = 5_000;

/** In the order of arrival, with UIDs, numbers in the archive and MODSEQs like those of real ones. */
async function fill({ db, account, inbox }: TestMailbox, to: number): Promise<void> {
  const last = async (sql: string) => (await db.prepare(sql).bind(account).first<number>("n")) ?? 0;
  for (;;) {
    const number = await last("SELECT max(number) AS n FROM message WHERE account = ?1");
    const seq = await last("SELECT seq AS n FROM account WHERE id = ?1");
    const rows = Math.min(CHUNK, to - number);
    if (rows <= 0) return;
    const generate = `WITH RECURSIVE generate(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM generate WHERE n < ${rows})`;
    const modseq = `${seq} + number - ${number}`;
    await db.batch([
      db
        .prepare(
          `${generate} INSERT INTO message (id, account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta, number)
           SELECT m.id + (${number} + g.n) * 1024, m.account, 'copy-' || (${number} + g.n), 'o', ${number} + g.n, 'in', m.at, m.size,
             m.key, m.sender, m.subject, m.preview, m.meta, ${number} + g.n
           FROM generate g CROSS JOIN message m ON m.account = ?1 AND m.number = 1 + g.n % ${TEMPLATES}`,
        )
        .bind(account),
      db
        .prepare(
          `INSERT INTO placement (id, account, message, modseq, created)
           SELECT ?2 * 4294967296 + ${modseq}, account, id, ${modseq}, ${modseq} FROM message WHERE account = ?1 AND number > ${number}`,
        )
        .bind(account, inbox),
      // One word that all have, one of a thousand, one of the first twenty.
      db
        .prepare(
          `INSERT INTO full_text (rowid, scope, subject, sender, body)
           SELECT id, 'a' || account || ' d1 in', 'Subject ' || number, 'sender' || (number % 100) || '@example.net',
             'common word' || (number % 1000) || iif(number <= ${TEMPLATES + 20}, ' twenty', '')
           FROM message WHERE account = ?1 AND number > ${number}`,
        )
        .bind(account),
      db.prepare("UPDATE account SET seq = ?2 WHERE id = ?1").bind(account, seq + rows),
    ]);
  }
}

async function measure(
  box: TestMailbox,
  what: string,
  stored: number,
  act: (box: TestMailbox, n: number) => Promise<unknown>,
) {
  const counter = counted(env as Env);
  const counting = { ...box, env: counter.env, db: counter.env.SHARD_0 };
  const times: number[] = [];
  for (let n = 0; n < TIMES; n++) {
    const began = performance.now();
    await act(counting, n);
    times.push(performance.now() - began);
  }
  const { rowsRead, rowsWritten } = counter.counts;
  const figures = {
    bench: "mailbox",
    what,
    stored,
    milliseconds: Number((times.sort((a, b) => a - b)[Math.floor(TIMES / 2)] ?? 0).toFixed(1)),
    rowsRead: Number((rowsRead / TIMES).toFixed(1)),
    rowsWritten: Number((rowsWritten / TIMES).toFixed(1)),
  };
  console.log(`BENCH ${JSON.stringify(figures)}`);
}

function asked(text: string): Query {
  const query = queryOf({ q: text }, Date.now());
  if (!query.ok) throw new Error(query.error.message);
  return query.value;
}

it("what a person does costs the same in a large mailbox", async () => {
  const box = await newMailbox();
  const some = await receive(box, TEMPLATES);
  for (const size of String(env.GROWTH_SIZES).split(",").map(Number)) {
    await fill(box, size);
    const inbox = { id: box.inbox, role: "inbox" } as const;
    const page = { order: "newest", deleted: false, limit: PAGE } as const;
    const newest = (await readFolder(box, inbox, { ...page, limit: 1_000 })).map(({ id }) => id);
    expect(newest.length).toBe(Math.min(1_000, size));
    await folders(box); // the archive is counted once
    const state = await currentState(box);
    const one = (n: number) => some[n] ?? 0;
    await measure(box, "folders with their counts", size, (box) => folders(box));
    await measure(box, "list 50, newest", size, (box) => readFolder(box, inbox, page));
    await measure(box, "list 50, in the middle", size, (box) =>
      readFolder(box, inbox, { ...page, to: Math.ceil(size / 2) }),
    );
    await measure(box, "list 50 of the archive", size, (box) =>
      readFolder(box, { id: box.archive, role: "archive" }, page),
    );
    await measure(box, "open one", size, (box, n) => readMessage(box, one(n)));
    await measure(box, "flag one", size, (box, n) => markMessages(box, [one(n)], { add: FLAGGED, remove: 0 }));
    await measure(box, "changes, of 15 flags", size, (box) => changesSince(box, stateAt(state), 1_000));
    for (const text of ["", "common", "word7", "twenty", "from:sender7 -word7", "is:flagged common"]) {
      await measure(box, `search ${text === "" ? "for nothing" : text}`, size, ({ db, account, inbox }) =>
        searchFolder(db, { account, folder: inbox }, asked(text), null, PAGE),
      );
    }
    await measure(box, "search of the archive: word7", size, ({ db, account }) =>
      searchArchiveFolder(db, account, asked("word7"), null, PAGE),
    );
    await measure(box, "move one there and back", size, async (box, n) => {
      const there = await moveMessages(box, [one(n)], box.junk);
      const to = there.ok ? there.value.moved[0]?.to : undefined;
      const back = await moveMessages(box, [to ?? 0], box.inbox);
      some[n] = (back.ok ? back.value.moved[0]?.to : undefined) ?? 0;
    });
    await measure(box, `mark ${newest.length}`, size, (box, n) =>
      markMessages(box, newest, n % 2 === 0 ? { add: SEEN, remove: 0 } : { add: 0, remove: SEEN }),
    );
    await markMessages(box, some.slice(0, TIMES), { add: 0, remove: FLAGGED });
  }
});
