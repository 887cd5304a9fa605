import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { furtherShards, keepShards } from "../../src/local/shards.ts";
import { folder } from "./folder.ts";

it("a state has one shard until it is given more, and keeps as many from then on", () => {
  const state = folder();
  expect(keepShards(state, null)).toBe(1);
  expect(keepShards(state, 3)).toBe(3);
  expect(keepShards(state, null)).toBe(3);
  expect(furtherShards(3)).toEqual({ SHARD_1: "holdfast-shard-1", SHARD_2: "holdfast-shard-2" });
});

it("a shard is not taken away while mailboxes may be on it", () => {
  const state = folder();
  keepShards(state, 2);
  expect(() => keepShards(state, 1)).toThrow(
    `HOLDFAST_SHARDS is 1, but ${state} has 2 shards with mail on them: set it to 2, or leave it out.`,
  );
  writeFileSync(join(state, "shards"), "two");
  expect(() => keepShards(state, null)).toThrow(
    `${join(state, "shards")} should say how many shards there are: a whole number.`,
  );
});
