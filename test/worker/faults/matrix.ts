/** A scenario, once for each call that it makes and each way in which that call can fail. */
import { describe, expect, it } from "vitest";
import type {} from "../../support/fault-cell.ts";
import "./bindings.ts";
import { type Call, FAULTS, type Fault, faultsOf, learn, withFault } from "./injector.ts";
import { Scene, type SceneOptions } from "./scene.ts";

/** The part of a scenario in which a call may fail. */
export interface Attempt {
  /** What fails; empty where nothing does. */
  readonly call: string;
  /** How; null where nothing does. */
  readonly fault: Fault | null;
  /** To be called once. */
  run(work: () => Promise<unknown>): Promise<void>;
}

/**
 * Plays from the beginning to rest and checks what the design promises.
 * @returns what became of the mail, in a few words, without times, numbers of rows or anything else that changes
 */
export type Scenario = (attempt: Attempt) => Promise<string>;

/** A case may wait for a limit or two. */
const CASE_TIMEOUT = 30_000;
const COLUMNS = Object.values(FAULTS);

export interface MatrixOptions {
  /** Only these calls fail; the others do in another scenario. */
  readonly only?: (call: Call) => boolean;
  /** Files of the product that wait for these calls, but for store/deadline.ts. */
  readonly waits?: readonly string[];
  /** Milliseconds that the longer ones of those waits take more; absent: as many as all others. */
  readonly more?: number;
}

export function matrix(
  title: string,
  scenario: Scenario,
  { only = () => true, waits = [], more }: MatrixOptions = {},
): void {
  describe(title, async () => {
    let calls: Call[] = [];
    const came = await scenario({
      call: "",
      fault: null,
      async run(work) {
        calls = (await learn(work)).filter(only);
      },
    });

    it("without a fault", ({ task }) => {
      task.meta.faultCell = { scenario: title, call: "", fault: "", columns: COLUMNS, came };
      expect(calls.length).toBeGreaterThan(0);
    });

    for (const call of calls) {
      for (const fault of faultsOf(call)) {
        const words = FAULTS[fault];
        it(`${wordsFor(call)}: ${words}`, { timeout: CASE_TIMEOUT }, async ({ task }) => {
          let fired = false;
          const came = await scenario({
            call: call.name,
            fault,
            async run(work) {
              fired = await withFault(call, fault, work, { files: waits, more });
            },
          });
          expect(fired, "the call was made").toBe(true);
          task.meta.faultCell = { scenario: title, call: wordsFor(call), fault: words, columns: COLUMNS, came };
        });
      }
    }
  });
}

/** A case of a table whose rows are no calls of bindings. */
export interface Case {
  readonly row: string;
  readonly column: string;
  play(): Promise<string>;
}

/** @param columns all of them, in their order */
export function table(title: string, columns: readonly string[], cases: readonly Case[]): void {
  describe(title, () => {
    for (const { row, column, play } of cases) {
      it(`${row}: ${column}`, { timeout: CASE_TIMEOUT }, async ({ task }) => {
        const came = await play();
        task.meta.faultCell = { scenario: title, call: row, fault: column, columns, came };
      });
    }
  });
}

function wordsFor({ name, nth }: Call): string {
  return nth === 1 ? name : `${name} (${nth})`;
}

/** Scenes that a case has left in order, by how their mailboxes lie. */
const free = new Map<string, Scene>();

/** A scene for each case; where one went well, the next takes it over. */
export function onStage(options: SceneOptions, play: (scene: Scene, attempt: Attempt) => Promise<string>): Scenario {
  return (attempt) => withScene(options, (scene) => play(scene, attempt));
}

/** @param left `changed`: the domain remembers what happened, and the next case takes another one */
export async function withScene(
  options: SceneOptions,
  play: (scene: Scene) => Promise<string>,
  left: "as it was" | "changed" = "as it was",
): Promise<string> {
  const kind = JSON.stringify([options.shards, options.secure, options.transport, options.slow]);
  const scene = free.get(kind) ?? (await Scene.open(options));
  free.delete(kind);
  await scene.begin(options);
  const came = await play(scene);
  if (left === "as it was") free.set(kind, scene);
  return came;
}
