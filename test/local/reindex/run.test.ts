/** The run around the steps: how far it is, what ends it, and how the next one goes on. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ReindexSettings } from "../../../src/local/reindex/options.ts";
import { type ReindexWork, runReindex, summary } from "../../../src/local/reindex/run.ts";
import { ReindexError, type StepAnswer } from "../../../src/local/reindex/service.ts";
import { folder } from "../folder.ts";

const settingsIn = (state: string, more: Partial<ReindexSettings> = {}): ReindexSettings => ({
  url: null,
  token: "t",
  email: "",
  password: null,
  state,
  since: null,
  shard: null,
  dryRun: false,
  restart: false,
  ...more,
});

const answer = (cursor: string | null, more: Partial<StepAnswer> = {}): StepAnswer => ({
  cursor,
  wait: 0,
  at: "2026-11-03T14:00:00.000Z",
  counts: { seen: 10, indexed: 4, waiting: 1, nobody: 0 },
  problems: [],
  problemCount: 0,
  ...more,
});

/** Answers one after the other, and remembers what it was asked. */
function work(answers: readonly (StepAnswer | Error)[], url = "http://127.0.0.1:1") {
  const asked: object[] = [];
  const service: ReindexWork = {
    url,
    async step(body) {
      const next = answers[asked.length];
      asked.push(body);
      if (next === undefined || next instanceof Error) throw next ?? new Error("asked once more");
      return next;
    },
  };
  return { service, asked };
}

async function run(service: ReindexWork, settings: ReindexSettings) {
  const lines: string[] = [];
  const result = await runReindex(service, settings, new AbortController().signal, (line) => lines.push(line));
  return { result, lines };
}

describe("npm run reindex", () => {
  it("makes steps until there is no cursor, and adds up", async () => {
    const state = folder();
    const { service, asked } = work([answer("a"), answer("b"), answer(null)]);
    const { result, lines } = await run(service, settingsIn(state, { since: "2026-11-01T00:00:00.000Z" }));
    expect(asked).toEqual(
      [null, "a", "b"].map((cursor) => ({ cursor, dryRun: false, since: "2026-11-01T00:00:00.000Z" })),
    );
    expect(result).toMatchObject({ totals: { seen: 30, indexed: 12, waiting: 3 }, problems: 0 });
    expect(lines[0]).toMatch(/^10 messages, \d+ a second, 4 copies indexed, up to 2026-11-03 14:00 UTC$/);
    expect(summary(result, false)).toMatch(/^30 messages looked at: 12 copies indexed \(3 waiting, /);
    expect(existsSync(join(state, "reindex.json"))).toBe(false);
  });

  it("goes on where it was cut off, with what it had counted", async () => {
    const state = folder();
    await expect(run(work([answer("a"), new ReindexError("down")]).service, settingsIn(state))).rejects.toThrow("down");
    expect(readFileSync(join(state, "reindex.json"), "utf8")).toContain('"cursor":"a"');
    const { service, asked } = work([answer(null)]);
    const { result } = await run(service, settingsIn(state));
    expect(asked).toEqual([{ cursor: "a", dryRun: false }]);
    expect(result.totals.seen).toBe(20);
  });

  it("does not take up another service's run, and begins anew when told to", async () => {
    const state = folder();
    await expect(run(work([answer("a")]).service, settingsIn(state))).rejects.toThrow("asked once more");
    const { service, asked } = work([answer(null)], "https://mail.example.org");
    await expect(run(service, settingsIn(state))).rejects.toThrow(
      "Another run was not finished (http://127.0.0.1:1): finish it with the same settings, or begin with --restart.",
    );
    expect(asked).toEqual([]);
    await run(service, settingsIn(state, { restart: true }));
    expect(asked).toEqual([{ cursor: null, dryRun: false }]);
  });

  it("keeps nothing of a dry run", async () => {
    const state = folder();
    await expect(run(work([answer("a")]).service, settingsIn(state, { dryRun: true }))).rejects.toThrow();
    expect(existsSync(join(state, "reindex.json"))).toBe(false);
  });

  it("names what it could not place; mail for nobody's address has its place and is no failure", async () => {
    const nobody = { kind: "nobody", key: "archive/1", detail: "eve@example.org is nobody's address now." };
    const unreadable = { kind: "unreadable", key: "archive/2", detail: "It could not be read." };
    const counts = { seen: 2, nobody: 1 };
    const { service } = work([answer(null, { problems: [nobody, unreadable], problemCount: 2, counts })]);
    const { result, lines } = await run(service, settingsIn(folder()));
    expect(lines).toContain("unreadable: archive/2: It could not be read.");
    expect(lines).toContain("nobody: archive/1: eve@example.org is nobody's address now.");
    expect(result.problems).toBe(1);
  });
});
