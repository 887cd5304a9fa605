/** Stands in front of the bindings (D1, R2, objects) of this test file, whoever calls them: the Worker or an object. */
import { env } from "cloudflare:test";
import { RpcTarget } from "cloudflare:workers";
import { OriginKeeper } from "../../../src/worker/deliver/keeper.ts";
import { DomainObject } from "../../../src/worker/domain/object.ts";
import { CarrierObject } from "../../../src/worker/failback/carrier.ts";
import type { Desk, Orders, Report } from "../../../src/worker/failback/exchange.ts";
import { OutboundObject } from "../../../src/worker/send/object.ts";
import { type Fault, InjectedFault, strikes, through } from "./injector.ts";
import { describeStatements } from "./statement.ts";

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
/** Nobody's calls: the platform's own, and `fetch`, by which cloudflare:test gets into an object. A watch that fails has tests of its own. */
const NO_CALLS: readonly string[] = [
  "constructor",
  "alarm",
  "fetch",
  "webSocketMessage",
  "webSocketClose",
  "webSocketError",
];

const methodsOf = ({ prototype }: { readonly prototype: object }): string[] =>
  Object.getOwnPropertyNames(prototype).filter((name) => !NO_CALLS.includes(name));

/** The stub itself, for the tests need a real one as their own way into an object; its methods are ours. */
function standBeforeObjects(
  namespace: DurableObjectNamespace,
  by: "getByName" | "get",
  kind: { readonly called: string; readonly methods: readonly string[] },
  handed: (argument: unknown) => unknown = (argument) => argument,
): void {
  replace(namespace, by, (original) => (...which: never[]) => {
    const stub = original(...which) as DurableObjectStub;
    for (const method of kind.methods) {
      const original = Reflect.get(stub, method) as Method;
      Object.defineProperty(stub, method, {
        value: (...args: never[]) =>
          through(
            `${kind.called}: ${method}`,
            () => Reflect.apply(original, stub, args.map(handed)) as Promise<unknown>,
          ),
      });
    }
    return stub;
  });
}

/** The domain's object is asked by another invocation, over what it was handed. */
class WatchedDesk extends RpcTarget implements Desk {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
  }

  exchange(slot: number, reports: readonly Report[], more: boolean): Promise<Orders> {
    return through("another invocation asks: exchange", () => this.#desk.exchange(slot, reports, more));
  }
}

const isDesk = (argument: unknown): argument is Desk => argument instanceof RpcTarget && "exchange" in argument;

for (const [name, binding] of Object.entries(env)) {
  if (name === "DIRECTORY") stand(binding as D1Database, "D1 directory");
  const shard = /^SHARD_(\d+)$/.exec(name)?.[1];
  if (shard !== undefined) stand(binding as D1Database, `D1 shard ${shard}`);
}
standBeforeStore(env.MAIL);
standBeforeObjects(env.DOMAIN as unknown as DurableObjectNamespace, "getByName", {
  called: "domain's object",
  methods: methodsOf(DomainObject),
});
standBeforeObjects(env.OUTBOUND as unknown as DurableObjectNamespace, "getByName", {
  called: "outbound object",
  methods: methodsOf(OutboundObject),
});
standBeforeObjects(env.KEEPER, "get", { called: "keeper", methods: methodsOf(OriginKeeper) });
standBeforeObjects(
  env.CARRIER,
  "getByName",
  { called: "another invocation", methods: methodsOf(CarrierObject) },
  (argument) => (isDesk(argument) ? new WatchedDesk(argument) : argument),
);
