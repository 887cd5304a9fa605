/** One run from where the last one stopped to the end; how far it is stands in a file after each step. */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { writeWhole } from "../file.ts";
import type { ReindexSettings } from "./options.ts";
import { ReindexError, type StepAnswer } from "./service.ts";

/** What the file has. */
interface Progress {
  /** What is reindexed: another service or another part is another run. */
  readonly of: { readonly url: string; readonly since: string | null; readonly shard: number | null };
  readonly cursor: string;
  readonly totals: Totals;
}

type Totals = Readonly<Record<string, number>>;

export interface ReindexWork {
  readonly url: string;
  step(body: object, signal: AbortSignal): Promise<StepAnswer>;
}

export interface ReindexResult {
  readonly totals: Totals;
  /** Messages that are not in the index now. */
  readonly problems: number;
}

/** Milliseconds between two lines of progress. */
const LINE_EVERY = 1_000;

/**
 * @param signal ends it; the next run goes on
 * @throws ReindexError; what was reached stays in the file
 */
export async function runReindex(
  work: ReindexWork,
  settings: ReindexSettings,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<ReindexResult> {
  const { since, shard, dryRun } = settings;
  const of = { url: work.url, since, shard };
  const file = join(settings.state, "reindex.json");
  const before = dryRun || settings.restart ? null : readProgress(file);
  if (before && JSON.stringify(before.of) !== JSON.stringify(of)) {
    throw new ReindexError(
      `Another run was not finished (${describe(before.of)}): finish it with the same settings, or begin with --restart.`,
    );
  }
  if (before) say(`goes on where the last run stopped, after ${before.totals.seen ?? 0} messages`);
  let cursor = before?.cursor ?? null;
  let totals: Totals = before?.totals ?? {};
  const began = Date.now();
  const seenBefore = totals.seen ?? 0;
  let said = 0;
  for (;;) {
    const body = { cursor, dryRun, ...(since === null ? {} : { since }), ...(shard === null ? {} : { shard }) };
    const step = await work.step(body, signal);
    totals = add(totals, { ...step.counts, problems: step.problemCount });
    for (const { kind, key, detail } of step.problems) say(`${kind}: ${key}: ${detail}`);
    if (step.problemCount > step.problems.length) say(`and ${step.problemCount - step.problems.length} more`);
    cursor = step.cursor;
    if (cursor === null) break;
    if (!dryRun) keepProgress(settings.state, file, { of, cursor, totals });
    if (Date.now() - said >= LINE_EVERY) {
      said = Date.now();
      say(progressLine(totals, (totals.seen ?? 0) - seenBefore, said - began, step.at));
    }
    if (step.wait > 0) {
      say(`waits ${Math.ceil(step.wait / 1000)} s for mail that may be under way`);
      await pause(step.wait, undefined, { signal });
    }
  }
  if (!dryRun) rmSync(file, { force: true });
  const problems = (totals.problems ?? 0) - (totals.nobody ?? 0);
  return { totals, problems: Math.max(0, problems) };
}

function progressLine(totals: Totals, seen: number, milliseconds: number, at: string | null): string {
  const rate = Math.round((seen * 1000) / Math.max(1, milliseconds));
  const time = at === null ? "" : `, up to ${at.slice(0, 16).replace("T", " ")} UTC`;
  return `${totals.seen ?? 0} messages, ${rate} a second, ${totals.indexed ?? 0} copies indexed${time}`;
}

/** The last line. */
export function summary({ totals, problems }: ReindexResult, dryRun: boolean): string {
  const of = (name: string) => totals[name] ?? 0;
  const verb = dryRun ? "would be indexed" : "indexed";
  return [
    `${of("seen")} messages looked at: ${of("indexed")} copies ${verb} (${of("waiting")} waiting, ${of("refused")} refused)`,
    `${of("present")} were there (${of("settled")} set right), ${of("repeats")} repeats, ${of("skipped")} passed over, ${of("nobody")} for nobody's address`,
    ...(of("renewed") > 0
      ? [`${of("renewed")} rows ${dryRun ? "that no words find" : "found by their words again"}`]
      : []),
    `${problems} problems`,
  ].join("; ");
}

function add(a: Totals, b: Totals): Totals {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...names].map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]));
}

function describe({ url, since, shard }: Progress["of"]): string {
  return [url, ...(since === null ? [] : [`since ${since}`]), ...(shard === null ? [] : [`shard ${shard}`])].join(", ");
}

function readProgress(file: string): Progress | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new ReindexError(`${file} cannot be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text) as Progress;
  } catch {
    throw new ReindexError(`${file} is not what an earlier run wrote: begin with --restart.`);
  }
}

function keepProgress(state: string, file: string, progress: Progress): void {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeWhole(file, `${JSON.stringify(progress)}\n`);
}
