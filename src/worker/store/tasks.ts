/** How far work in the background is, in the directory: what a run remembers for the next one. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";

/** `sweep`: archive/mend.ts. `purge`: archive/retention.ts. `renewal`: archive/renewal.ts. */
export type TaskName = "sweep" | "purge" | "renewal";

/** @returns null where nothing is remembered */
export async function readTask<T>(db: D1Database, name: TaskName): Promise<T | null> {
  const state = db.prepare("SELECT state FROM task WHERE name = ?1").bind(name).first<string>("state");
  const text = await within(state, INDEX_TIMEOUT, "D1 read of a task");
  return text === null ? null : (JSON.parse(text) as T);
}

/** @param state null: nothing is to be remembered any more */
export async function writeTask<T>(db: D1Database, name: TaskName, state: T | null): Promise<void> {
  const statement =
    state === null
      ? db.prepare("DELETE FROM task WHERE name = ?1").bind(name)
      : db
          .prepare("INSERT INTO task (name, state) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET state = ?2")
          .bind(name, JSON.stringify(state));
  await within(statement.run(), INDEX_TIMEOUT, "D1 write of a task");
}
