/**
 * The marks of moves on the shards (`account.move`), set right after a database was set back to an earlier time: then they say what
 * was true in the middle of a move that has long ended, and a mailbox would be closed for mail, or its backlog seen by nobody.
 * The directory knows where a mailbox lives, and which moves are under way.
 */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { settledShards } from "../store/moves.ts";
import type { Shard } from "../store/shard.ts";

interface Marked {
  readonly id: number;
  readonly move: "leaving" | "fenced" | "left" | "arriving" | null;
}

const THOSE = "id IN (SELECT value FROM json_each(?1))";
const WHAT = "D1 marks of moves";

/** Idempotent; a mailbox that is moving is its mover's. @param mailboxes some hundreds @param on the shards to look at */
export async function mendMarks(env: Env, mailboxes: readonly number[], on: readonly Shard[]): Promise<void> {
  for (const { number, db } of on) {
    const marked = await marksOf(db, mailboxes);
    if (marked.length === 0) continue;
    // Asked after the marks: what had no move then, and has none now, has a mark that nobody will take away.
    const lives = await settledShards(
      env.DIRECTORY,
      marked.map(({ id }) => id),
    );
    const wrong = marked.filter(({ id, move }) => {
      if (!lives.has(id)) return false;
      return lives.get(id) === number ? move !== null : move !== "left" && move !== "arriving";
    });
    for (const [move, theirs] of Map.groupBy(wrong, (one) => one.move)) {
      const ids = JSON.stringify(theirs.filter(({ id }) => lives.get(id) === number).map(({ id }) => id));
      const others = JSON.stringify(theirs.filter(({ id }) => lives.get(id) !== number).map(({ id }) => id));
      await within(
        db.batch([
          // What a move left behind would be taken for a part of the next one.
          db.prepare(`DELETE FROM journal WHERE account IN (SELECT value FROM json_each(?1))`).bind(ids),
          db.prepare(`DELETE FROM arrival WHERE account IN (SELECT value FROM json_each(?1))`).bind(ids),
          db.prepare(`UPDATE account SET move = NULL WHERE ${THOSE} AND move IS ?2`).bind(ids, move),
          db.prepare(`UPDATE account SET move = 'left' WHERE ${THOSE} AND move IS ?2`).bind(others, move),
        ]),
        INDEX_TIMEOUT,
        WHAT,
      );
      console.warn("marks of moves that had ended were set right", number, move, theirs.length);
    }
  }
}

/** Of those that have an account there. */
async function marksOf(db: D1Database, mailboxes: readonly number[]): Promise<Marked[]> {
  const { results } = await within(
    db.prepare(`SELECT id, move FROM account WHERE ${THOSE}`).bind(JSON.stringify(mailboxes)).all<Marked>(),
    INDEX_TIMEOUT,
    WHAT,
  );
  return results;
}
