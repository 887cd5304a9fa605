/** What an operator sets for the whole service, in the directory. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "./deadline.ts";
import { shardsInUse } from "./shard.ts";

export type SettingName = "new_mailboxes_shard";

async function readSetting(db: D1Database, name: SettingName): Promise<string | null> {
  const value = db.prepare("SELECT value FROM setting WHERE name = ?1").bind(name).first<string>("value");
  return await within(value, INDEX_TIMEOUT, "D1 read of a setting");
}

/** @param value null: as if nobody had set it */
export async function writeSetting(db: D1Database, name: SettingName, value: string | null): Promise<void> {
  const statement =
    value === null
      ? db.prepare("DELETE FROM setting WHERE name = ?1").bind(name)
      : db
          .prepare("INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2")
          .bind(name, value);
  await within(statement.run(), INDEX_TIMEOUT, "D1 write of a setting");
}

/** Where new mailboxes go: what the operator has set, as long as it can be used; else the one with the highest number. */
export async function shardOfNew(env: Env): Promise<number> {
  const [set, usable] = await Promise.all([readSetting(env.DIRECTORY, "new_mailboxes_shard"), shardsInUse(env)]);
  const last = usable.at(-1);
  if (!last) throw new Error("no shard can take a mailbox: none has tables");
  const chosen = set === null ? undefined : usable.find(({ number }) => number === Number(set));
  return (chosen ?? last).number;
}
