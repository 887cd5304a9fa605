/** Counts at the bindings, in Cloudflare's units: what a message costs, seconds aside. */
import type { Env } from "../../src/worker/env.ts";

export interface Counts {
  /** R2 class A: put, copy, list. */
  classA: number;
  /** R2 class B: get, head. */
  classB: number;
  /** D1, all databases. */
  rowsWritten: number;
  rowsRead: number;
  /** Durable Object requests: calls of a stub. */
  objectRequests: number;
}

const R2_CLASS: Readonly<Record<string, "classA" | "classB" | undefined>> = {
  put: "classA",
  list: "classA",
  createMultipartUpload: "classA",
  get: "classB",
  head: "classB",
};

/** The environment with a counter in front of each binding. */
export function counted(env: Env): { readonly env: Env; readonly counts: Counts } {
  const counts: Counts = { classA: 0, classB: 0, rowsWritten: 0, rowsRead: 0, objectRequests: 0 };
  const d1 = (db: D1Database) => countedDatabase(db, counts);
  const shards = Object.entries(env).filter(([name]) => name.startsWith("SHARD_"));
  return {
    counts,
    env: {
      ...env,
      DIRECTORY: d1(env.DIRECTORY),
      ...Object.fromEntries(shards.map(([name, db]) => [name, d1(db as D1Database)])),
      MAIL: wrap(env.MAIL, (name) => {
        const kind = R2_CLASS[name];
        if (kind) counts[kind]++;
      }),
      DOMAIN: countedObjects(env.DOMAIN, counts),
      OUTBOUND: countedObjects(env.OUTBOUND, counts),
    },
  };
}

function countedObjects<T extends object>(namespace: T, counts: Counts): T {
  return wrap(
    namespace,
    () => {},
    (_name, stub) =>
      wrap(stub as object, (method) => {
        if (method !== "then") counts.objectRequests++;
      }),
  );
}

/** Calls go through; `before` hears the method, `after` may replace what it gives. */
function wrap<T extends object>(
  target: T,
  before: (method: string) => void,
  after?: (method: string, result: unknown) => unknown,
): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name);
      if (typeof value !== "function" || typeof name !== "string") return value;
      return (...args: unknown[]) => {
        before(name);
        const result: unknown = Reflect.apply(value, object, args);
        return after ? after(name, result) : result;
      };
    },
  });
}

function countedDatabase(db: D1Database, counts: Counts): D1Database {
  const count = (result: D1Result) => {
    counts.rowsWritten += result.meta.rows_written;
    counts.rowsRead += result.meta.rows_read;
  };
  const originals = new WeakMap<object, D1PreparedStatement>();
  const statement = (original: D1PreparedStatement): D1PreparedStatement => {
    const proxy = new Proxy(original, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => statement(target.bind(...values));
        if (name === "first") {
          return async (column?: string) => {
            const result = await target.all<Record<string, unknown>>();
            count(result);
            const row = result.results[0];
            return row === undefined ? null : column === undefined ? row : row[column];
          };
        }
        if (name === "all" || name === "run") {
          return async () => {
            const result = await target[name]();
            count(result);
            return result;
          };
        }
        if (name === "raw") {
          return async () => {
            const result = await target.all<Record<string, unknown>>();
            count(result);
            return result.results.map((row) => Object.values(row));
          };
        }
        return Reflect.get(target, name);
      },
    });
    originals.set(proxy, original);
    return proxy;
  };
  return new Proxy(db, {
    get(target, name) {
      if (name === "prepare") return (sql: string) => statement(target.prepare(sql));
      if (name === "batch") {
        return async (statements: D1PreparedStatement[]) => {
          const results = await target.batch(statements.map((each) => originals.get(each) ?? each));
          results.forEach(count);
          return results;
        };
      }
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
