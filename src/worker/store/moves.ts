/** Moves of mailboxes between shards, as the directory has them. It alone says where a mailbox lives. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { AT_FIRST, type Move, type MoveChange, type Progress } from "../move/contract.ts";
import { within } from "./deadline.ts";

type StoredMove = Omit<Move, "progress"> & { readonly progress: string };

const COLUMNS = `mailbox, domain, source, target, phase, progress, actor, attempt, due_at AS dueAt, started_at AS startedAt,
  switched_at AS switchedAt, ended_at AS endedAt, problem`;
const ENDED = "('done', 'cancelled')";
const WHAT = "D1 record of a move";

function fromRow(row: StoredMove): Move {
  return { ...row, progress: { ...AT_FIRST, ...(JSON.parse(row.progress) as Partial<Progress>) } };
}

export async function findMove(db: D1Database, mailbox: number): Promise<Move | null> {
  const row = db.prepare(`SELECT ${COLUMNS} FROM mailbox_move WHERE mailbox = ?1`).bind(mailbox).first<StoredMove>();
  const found = await within(row, INDEX_TIMEOUT, WHAT);
  return found && fromRow(found);
}

/** Those under way, oldest first. */
export async function movesUnderWay(db: D1Database): Promise<Move[]> {
  const { results } = await within(
    db
      .prepare(`SELECT ${COLUMNS} FROM mailbox_move WHERE phase NOT IN ${ENDED} ORDER BY started_at, mailbox`)
      .all<StoredMove>(),
    INDEX_TIMEOUT,
    WHAT,
  );
  return results.map(fromRow);
}

/** Where those of them live that no move is under way for. */
export async function settledShards(db: D1Database, mailboxes: readonly number[]): Promise<Map<number, number>> {
  const { results } = await within(
    db
      .prepare(
        `SELECT m.id, m.shard FROM mailbox m WHERE m.id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS
           (SELECT 1 FROM mailbox_move v WHERE v.mailbox = m.id AND v.phase NOT IN ${ENDED})`,
      )
      .bind(JSON.stringify(mailboxes))
      .all<{ id: number; shard: number }>(),
    INDEX_TIMEOUT,
    "D1 read of where mailboxes live",
  );
  return new Map(results.map(({ id, shard }) => [id, shard]));
}

/** @returns null where the mailbox is moving already, or does not live on `source` any more */
export async function insertMove(
  db: D1Database,
  move: Pick<Move, "mailbox" | "domain" | "source" | "target" | "actor" | "startedAt">,
): Promise<Move | null> {
  const { mailbox, domain, source, target, actor, startedAt } = move;
  const row = await within(
    db
      .prepare(
        `INSERT INTO mailbox_move (mailbox, domain, source, target, phase, actor, started_at)
         SELECT ?1, ?2, ?3, ?4, 'copying', ?5, ?6 FROM mailbox WHERE id = ?1 AND shard = ?3
         ON CONFLICT (mailbox) DO UPDATE SET source = excluded.source, target = excluded.target, phase = 'copying',
           progress = '{}', actor = excluded.actor, attempt = attempt + 1, lease_until = 0, due_at = 0,
           started_at = excluded.started_at, switched_at = NULL, ended_at = NULL, problem = NULL
         WHERE mailbox_move.phase IN ${ENDED}
         RETURNING ${COLUMNS}`,
      )
      .bind(mailbox, domain, source, target, actor, startedAt)
      .first<StoredMove>(),
    INDEX_TIMEOUT,
    WHAT,
  );
  return row && fromRow(row);
}

/** One mover at a time: the oldest move that is due and that nobody is at. @param mailbox only this one */
export async function claimMove(
  db: D1Database,
  now: number,
  lease: number,
  mailbox: number | null,
): Promise<Move | null> {
  const row = await within(
    db
      .prepare(
        `UPDATE mailbox_move SET lease_until = ?1 + ?2 WHERE mailbox = (
           SELECT mailbox FROM mailbox_move
           WHERE phase NOT IN ${ENDED} AND lease_until <= ?1 AND due_at <= ?1 AND (?3 IS NULL OR mailbox = ?3)
           ORDER BY due_at, started_at LIMIT 1)
         RETURNING ${COLUMNS}`,
      )
      .bind(now, lease, mailbox)
      .first<StoredMove>(),
    INDEX_TIMEOUT,
    WHAT,
  );
  return row && fromRow(row);
}

/** What a step did; the lease goes on. @returns the move as it is now, or null where somebody else has changed its course */
export async function saveMove(
  db: D1Database,
  move: Move,
  change: MoveChange,
  leaseUntil: number,
): Promise<Move | null> {
  const next = { ...move, problem: null, ...change };
  const { meta } = await within(
    db
      .prepare(
        `UPDATE mailbox_move SET phase = ?4, progress = ?5, due_at = ?6, ended_at = ?7, problem = ?8, lease_until = ?9
         WHERE mailbox = ?1 AND attempt = ?2 AND phase = ?3`,
      )
      .bind(
        move.mailbox,
        move.attempt,
        move.phase,
        next.phase,
        JSON.stringify(next.progress),
        next.dueAt,
        next.endedAt,
        next.problem,
        leaseUntil,
      )
      .run(),
    INDEX_TIMEOUT,
    WHAT,
  );
  return meta.changes > 0 ? next : null;
}

/**
 * The switch: from this statement on the mailbox lives on the target, for everybody. Only from `switching`, and only by the
 * attempt that has put it there.
 */
export async function switchShard(db: D1Database, move: Move, now: number): Promise<void> {
  const { mailbox, attempt, domain, target } = move;
  const ours = "EXISTS (SELECT 1 FROM mailbox_move WHERE mailbox = ?1 AND attempt = ?2 AND phase = 'switching')";
  await within(
    db.batch([
      db.prepare(`UPDATE domain SET version = version + 1 WHERE id = ?3 AND ${ours}`).bind(mailbox, attempt, domain),
      db.prepare(`UPDATE mailbox SET shard = ?3 WHERE id = ?1 AND ${ours}`).bind(mailbox, attempt, target),
      db
        .prepare(
          `UPDATE mailbox_move SET phase = 'switched', switched_at = ?3
           WHERE mailbox = ?1 AND attempt = ?2 AND phase = 'switching'`,
        )
        .bind(mailbox, attempt, now),
    ]),
    INDEX_TIMEOUT,
    "D1 batch of a switch",
  );
}

/** Back to copying, unless the switch has happened after all. @returns whether it is copying again */
export async function takeBackSwitch(db: D1Database, { mailbox, attempt }: Move): Promise<boolean> {
  const { meta } = await within(
    db
      .prepare(
        `UPDATE mailbox_move SET phase = 'copying', attempt = attempt + 1
         WHERE mailbox = ?1 AND attempt = ?2 AND phase = 'switching'`,
      )
      .bind(mailbox, attempt)
      .run(),
    INDEX_TIMEOUT,
    WHAT,
  );
  return meta.changes > 0;
}

/** Whoever was at it has noticed that its course was changed, and lets go. */
export async function releaseMove(db: D1Database, mailbox: number): Promise<void> {
  const release = db.prepare("UPDATE mailbox_move SET lease_until = 0 WHERE mailbox = ?1 AND phase = 'cancelling'");
  await within(release.bind(mailbox).run(), INDEX_TIMEOUT, WHAT);
}

/** A move that has not come to the switch yet ends where it began. @returns whether it could be */
export async function cancelMove(db: D1Database, mailbox: number): Promise<boolean> {
  const { meta } = await within(
    db
      .prepare(
        `UPDATE mailbox_move SET phase = 'cancelling', attempt = attempt + 1, due_at = 0
         WHERE mailbox = ?1 AND phase = 'copying'`,
      )
      .bind(mailbox)
      .run(),
    INDEX_TIMEOUT,
    WHAT,
  );
  return meta.changes > 0;
}
