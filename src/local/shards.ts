/** How many shards the local service has: a mailbox on one that is not bound any more would be out of reach. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "./file.ts";

/**
 * @param asked HOLDFAST_SHARDS; null: as many as the state has
 * @returns their number, kept in the state folder
 * @throws where the state has more
 */
export function keepShards(state: string, asked: number | null): number {
  const file = join(state, "shards");
  const before = read(file);
  const wanted = asked ?? before;
  if (wanted < before) {
    throw new Error(
      `HOLDFAST_SHARDS is ${wanted}, but ${state} has ${before} shards with mail on them: set it to ${before}, or leave it out.`,
    );
  }
  if (wanted > before) writeWhole(file, `${wanted}\n`);
  return wanted;
}

/** The databases beside those of wrangler.toml, as Miniflare takes them: binding and identifier. */
export function furtherShards(count: number): Record<string, string> {
  const numbers = Array.from({ length: count - 1 }, (_, index) => index + 1);
  return Object.fromEntries(numbers.map((number) => [`SHARD_${number}`, `holdfast-shard-${number}`]));
}

function read(file: string): number {
  try {
    const number = Number(readFileSync(file, "utf8"));
    if (Number.isSafeInteger(number) && number >= 1) return number;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return 1;
    throw error;
  }
  throw new Error(`${file} should say how many shards there are: a whole number.`);
}
