/** An object that ends at a write of its own storage, as if its process had been killed. */
import { describeStatements, isWrite } from "./statement.ts";

export const COLUMNS = ["it ends before", "it ends after"];

export interface Crash {
  /** Which of its writes, from 1. */
  readonly write: number;
  readonly after: boolean;
}

interface Alarmed {
  alarm(): Promise<void>;
}

/** Runs the alarm. After that write nothing is stored any more, whatever the object still tries. @returns whether it came to it */
export async function runUntil(
  object: Alarmed,
  sql: SqlStorage,
  crash: Crash | null,
  writes: string[],
): Promise<boolean> {
  const exec = sql.exec.bind(sql);
  let count = 0;
  let dead = false;
  Object.defineProperty(sql, "exec", {
    configurable: true,
    value: (query: string, ...values: unknown[]) => {
      if (dead) throw new Error("this object has ended");
      if (!isWrite(query)) return exec(query, ...values);
      count++;
      writes.push(describeStatements([query]));
      dead = count === crash?.write;
      if (dead && !crash?.after) throw new Error("this object has ended");
      const cursor = exec(query, ...values);
      if (!dead) return cursor;
      cursor.toArray(); // what RETURNING gives is to be read, or the statement is not over
      throw new Error("this object has ended");
    },
  });
  try {
    await object.alarm();
  } catch (error) {
    if (!dead) throw error;
  } finally {
    Reflect.deleteProperty(sql, "exec");
  }
  return dead;
}

/** `writes flight (3)`: which write of that kind. */
export function named(writes: readonly string[]): string[] {
  return writes.map((name, index) => {
    const nth = writes.slice(0, index + 1).filter((other) => other === name).length;
    return nth === 1 ? name : `${name} (${nth})`;
  });
}
