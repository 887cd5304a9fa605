/** One cell of docs/fault-matrix.md, as a test hands it to the reporter. No Node.js in here: tests in workerd use it. */

declare module "vitest" {
  interface TaskMeta {
    faultCell?: FaultCell;
  }
}

export interface FaultCell {
  /** Of the table: what is done, in words. */
  readonly scenario: string;
  /** What fails; empty for the run without a fault. */
  readonly call: string;
  /** Which of `columns`. */
  readonly fault: string;
  /** All columns of this table, in their order. */
  readonly columns: readonly string[];
  /** What became of the mail. */
  readonly came: string;
}
