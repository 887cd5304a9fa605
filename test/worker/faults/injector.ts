/**
 * Stands in front of the bindings (D1, R2, the domains' objects) of this test file, whoever calls them: the Worker or an
 * object. It learns which calls a piece of work makes, and makes one of them fail.
 */
import { env } from "cloudflare:test";
import { vi } from "vitest";
import { DomainObject } from "../../../src/worker/domain/object.ts";
import { calm, hasten, hurry } from "./haste.ts";
import { describeStatements } from "./statement.ts";

/**
 * `before`: throws without effect. `after`: takes effect, then throws. `never`: no effect and no answer. `neverAfter`: takes
 * effect, and the answer never comes.
 */
export type Fault = "before" | "after" | "never" | "neverAfter";

export const FAULTS: Readonly<Record<Fault, string>> = {
  before: "fails before",
  after: "fails after",
  never: "never answers",
  neverAfter: "never answers, done",
};

/** What only reads has no effect to take: two ways of failing are the same. */
const READS = /: (?:reads |get$|head$|list$|plan$|events$|status$)/;

export function faultsOf({ name }: Call): Fault[] {
  return READS.test(name) ? ["before", "never"] : ["before", "after", "never", "neverAfter"];
}

/** The n-th call of one kind. */
export interface Call {
  readonly name: string;
  readonly nth: number;
}

export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
}

interface Watch {
  readonly counts: Map<string, number>;
  readonly fault: { readonly call: Call; readonly kind: Fault } | null;
  fired: boolean;
}

let watch: Watch | null = null;

/** Runs `work` without faults. @returns the calls that it made, by name */
export async function learn(work: () => Promise<unknown>): Promise<Call[]> {
  const { counts } = await watched(null, work);
  const calls = [...counts].flatMap(([name, count]) =>
    Array.from({ length: count }, (_, index) => ({ name, nth: index + 1 })),
  );
  return calls.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.nth - b.nth));
}

/** Runs `work` with that call failing. @returns whether the call was made */
export async function withFault(call: Call, kind: Fault, work: () => Promise<unknown>): Promise<boolean> {
  return (await watched({ call, kind }, work)).fired;
}

async function watched(fault: Watch["fault"], work: () => Promise<unknown>): Promise<Watch> {
  const mine: Watch = { counts: new Map(), fault, fired: false };
  watch = mine;
  // Whoever waits for an answer that never comes need not wait for the whole of its limit.
  if (fault?.kind === "never" || fault?.kind === "neverAfter") hasten(["store/deadline.ts"], QUICK, false);
  // What is made to fail is told to the console, hundreds of times with its stack: that helps nobody.
  const silenced = [vi.spyOn(console, "error"), vi.spyOn(console, "warn")];
  for (const spy of silenced) spy.mockImplementation(() => undefined);
  try {
    await work();
    return mine;
  } finally {
    watch = null;
    calm();
    for (const spy of silenced) spy.mockRestore();
  }
}

/** One call of a binding. The work begins in the same turn, as it would without an injector. */
async function through<T>(name: string, work: () => Promise<T>): Promise<T> {
  const kind = strikes(name);
  if (kind === null) return work();
  if (kind === "after" || kind === "neverAfter") await work();
  if (kind === "before" || kind === "after") throw new InjectedFault(`${name}: this call was made to fail`);
  return new Promise<never>(() => undefined);
}

function strikes(name: string): Fault | null {
  if (!watch) return null;
  const nth = (watch.counts.get(name) ?? 0) + 1;
  watch.counts.set(name, nth);
  const { fault } = watch;
  if (fault?.call.name !== name || fault.call.nth !== nth) return null;
  watch.fired = true;
  hurry();
  return fault.kind;
}

/** Milliseconds: many times what a call to a binding takes here. */
const QUICK = 150;

type Method = (...args: never[]) => unknown;

function replace<T extends object>(target: T, name: keyof T & string, make: (original: Method) => Method): void {
  const original = Reflect.get(target, name) as Method;
  Object.defineProperty(target, name, {
    configurable: true,
    value: make((...args) => Reflect.apply(original, target, args)),
  });
}

function stand(database: D1Database, called: string): void {
  const originals = new WeakMap<object, { statement: D1PreparedStatement; sql: string }>();
  const wrap = (statement: D1PreparedStatement, sql: string): D1PreparedStatement => {
    const proxy = new Proxy(statement, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => wrap(target.bind(...values), sql);
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) =>
          through(
            `${called}: ${describeStatements([sql])}`,
            () => Reflect.apply(value, target, args) as Promise<unknown>,
          );
      },
    });
    originals.set(proxy, { statement, sql });
    return proxy;
  };
  replace(database, "prepare", (prepare) => (sql: string) => wrap(prepare(sql as never) as D1PreparedStatement, sql));
  replace(database, "batch", (batch) => (statements: D1PreparedStatement[]) => {
    const known = statements.map((each) => originals.get(each) ?? { statement: each, sql: "" });
    const name = `${called}: batch ${describeStatements(known.map(({ sql }) => sql))}`;
    return through(name, () => batch(known.map(({ statement }) => statement) as never) as Promise<unknown>);
  });
}

function standBeforeStore(bucket: R2Bucket): void {
  for (const method of ["head", "list", "delete"] as const) {
    replace(
      bucket,
      method,
      (original) =>
        (...args) =>
          through(`R2: ${method}`, () => original(...args) as Promise<unknown>),
    );
  }
  replace(bucket, "put", (put) => (...args: unknown[]) => {
    const name = args[1] instanceof ReadableStream ? "R2: put of a stream" : "R2: put";
    return through(name, () => put(...(args as never[])) as Promise<unknown>);
  });
  replace(bucket, "get", (get) => async (...args) => {
    const object = (await through("R2: get", () => get(...args) as Promise<unknown>)) as R2ObjectBody | null;
    const kind = object && strikes("R2: body of a get");
    return object && kind ? withBody(object, failing(object.body, kind)) : object;
  });
}

function withBody(object: R2ObjectBody, body: ReadableStream): R2ObjectBody {
  return new Proxy(object, {
    get: (target, name) => {
      if (name === "arrayBuffer") return () => new Response(body).arrayBuffer();
      return name === "body" ? body : Reflect.get(target, name, target);
    },
  });
}

/** Octets that do not come, or come and do not end. */
function failing(body: ReadableStream<Uint8Array>, kind: Fault): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const all = kind === "after" || kind === "neverAfter";
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = all ? await reader.read() : { done: true as const };
      if (!piece.done) return controller.enqueue(piece.value);
      if (kind === "never" || kind === "neverAfter") return new Promise<never>(() => undefined);
      controller.error(new InjectedFault("R2: these octets were made to fail"));
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** What a stub can be asked: whatever the class has, but for what the platform calls. */
const RPC = Object.getOwnPropertyNames(DomainObject.prototype).filter(
  (name) => name !== "constructor" && name !== "alarm",
);

/** The stub itself, for the tests need a real one as their own way into an object; its methods are ours. */
function standBeforeObjects(namespace: DurableObjectNamespace): void {
  replace(namespace, "getByName", (getByName) => (name: string) => {
    const stub = getByName(name as never) as DurableObjectStub;
    for (const method of RPC) {
      const original = Reflect.get(stub, method) as Method;
      Object.defineProperty(stub, method, {
        value: (...args: never[]) =>
          through(`domain's object: ${method}`, () => Reflect.apply(original, stub, args) as Promise<unknown>),
      });
    }
    return stub;
  });
}

for (const [name, binding] of Object.entries(env)) {
  if (name === "DIRECTORY") stand(binding as D1Database, "D1 directory");
  const shard = /^SHARD_(\d+)$/.exec(name)?.[1];
  if (shard !== undefined) stand(binding as D1Database, `D1 shard ${shard}`);
}
standBeforeStore(env.MAIL);
standBeforeObjects(env.DOMAIN as unknown as DurableObjectNamespace);
