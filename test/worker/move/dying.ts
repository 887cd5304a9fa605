/** A mover that dies: from one call to a database on, nothing that it does takes effect. */
import { env } from "cloudflare:test";
import type { Env } from "../../../src/worker/env.ts";

export interface Death {
  /** The call to a database, counted from 1, at which it dies; 0: never. */
  readonly at: number;
  /** That call has taken effect all the same. */
  readonly after: boolean;
  /** What happens just before each call, such as mail that arrives. */
  readonly meanwhile?: (call: number) => Promise<void>;
}

export interface Dying {
  readonly env: Env;
  /** Calls that it made. */
  readonly calls: () => number;
}

export function dying({ at, after, meanwhile }: Death): Dying {
  let calls = 0;
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    const mine = calls;
    if (at > 0 && mine > at) throw new Error("the mover is dead");
    await meanwhile?.(mine);
    if (mine !== at) return work();
    if (after) await work();
    throw new Error("the mover died");
  };
  const database = (db: D1Database): D1Database => {
    const originals = new WeakMap<object, D1PreparedStatement>();
    const wrap = (statement: D1PreparedStatement): D1PreparedStatement => {
      const proxy = new Proxy(statement, {
        get(target, name) {
          if (name === "bind") return (...values: unknown[]) => wrap(target.bind(...values));
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => call(() => Reflect.apply(value, target, args) as Promise<unknown>);
        },
      });
      originals.set(proxy, statement);
      return proxy;
    };
    return new Proxy(db, {
      get(target, name) {
        if (name === "prepare") return (sql: string) => wrap(target.prepare(sql));
        if (name === "batch")
          return (statements: D1PreparedStatement[]) =>
            call(() => target.batch(statements.map((each) => originals.get(each) ?? each)));
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
  return {
    calls: () => calls,
    env: {
      ...(env as Env),
      ...{ DIRECTORY: database(env.DIRECTORY), SHARD_0: database(env.SHARD_0), SHARD_1: database(env.SHARD_1) },
    },
  };
}
