/**
 * Writes docs/fault-matrix.md from what the tests of test/worker/faults found: a reporter, since tests in workerd have no
 * files. Each file of tests has a part of the page; what was not played, or not all of it, or failed, leaves its part as it is.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Reporter, TestModule, Vitest } from "vitest/node";
import type { FaultCell } from "./fault-cell.ts";

const FOLDER = "test/worker/faults";
const PAGE = "docs/fault-matrix.md";

const HEAD = `# The fault matrix

Written by the tests in \`${FOLDER}\`; not to be edited by hand.

Each scenario is played once without a fault, to learn which calls it makes to R2, D1 and objects (or which steps
it takes with the origin, or which frames with a gateway), and then once for each of them and each way to fail: a call that is
added later is in here by itself. Each time is checked, from the outside:

- **not lost**: what a sender was told is accepted, the origin has, or the inboxes that it came for until a later run gives it
  back; octet for octet;
- **not permanently rejected**: no 5xx where the origin, or the table of the design, says none;
- **shown once**: one row in the inbox and in the archive for each who has it, and once at the origin;
- **counted**: what lies in inboxes is what is counted as waiting;
- **at rest**: alarms, cron and the hourly sweep leave nothing stuck.

The sender behaves like one: on a 4xx, or a connection that breaks, it comes again with the same octets. A cell says what it
heard, and what became of the message. *fails before*: the call fails and has had no effect. *fails after*: it has taken effect,
and fails. *never answers*: it has no effect, and its time limit ends it. *never answers, done*: it has taken effect, and no answer comes. Of a call that
only reads, the two ways to fail are the same.
`;

export default class FaultMatrix implements Reporter {
  #root = process.cwd();

  onInit(vitest: Vitest): void {
    this.#root = vitest.config.root;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const folder = join(this.#root, FOLDER);
    const files = readdirSync(folder).filter((name) => name.endsWith(".test.ts"));
    const played = new Map(modules.map((module) => [relative(folder, module.moduleId), module]));
    const page = join(this.#root, PAGE);
    const before = contentOf(page) ?? "";
    const known = partsOf(before);
    const parts = files.sort().flatMap((file) => {
      const part = partFrom(played.get(file)) ?? known.get(file);
      return part === undefined ? [] : [`${markOf(file)}\n\n${part}`];
    });
    const text = [HEAD, ...parts].join("\n");
    if (text !== before) writeFileSync(page, text);
  }
}

/** Not shown by whoever shows Markdown. */
const markOf = (file: string): string => `<!-- ${file} -->`;
const MARK = /^<!-- (\S+\.test\.ts) -->$/m;

/** What the page has of each file. */
function partsOf(page: string): Map<string, string> {
  const [, ...rest] = page.split(MARK);
  const parts = new Map<string, string>();
  for (let at = 0; at + 1 < rest.length; at += 2) parts.set(rest[at] ?? "", `${(rest[at + 1] ?? "").trim()}\n`);
  return parts;
}

/** @returns null where not all of it was played, and went well */
function partFrom(module: TestModule | undefined): string | null {
  const tests = module ? [...module.children.allTests()] : [];
  if (tests.length === 0 || tests.some((test) => test.result().state !== "passed")) return null;
  return tablesOf(tests.flatMap((test) => test.meta().faultCell ?? [])).join("\n");
}

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

function tablesOf(cells: readonly FaultCell[]): string[] {
  return [...Map.groupBy(cells, ({ scenario }) => scenario)].map(([scenario, found]) => {
    const columns = found[0]?.columns ?? [];
    const without = found.find(({ call }) => call === "")?.came;
    const rows = [...Map.groupBy(found, ({ call }) => call)]
      .filter(([call]) => call !== "")
      .map(([call, cells]) => {
        const came = columns.map((column) => cells.find(({ fault }) => fault === column)?.came ?? "");
        return line([call, ...came]);
      });
    const title = `## ${scenario[0]?.toUpperCase()}${scenario.slice(1)}`;
    const head = [line(["fails", ...columns]), line(["fails", ...columns].map(() => "---"))];
    return [
      title,
      "",
      ...(without === undefined ? [] : [`Without a fault: ${without}`, ""]),
      ...head,
      ...rows,
      "",
    ].join("\n");
  });
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
