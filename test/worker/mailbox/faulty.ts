/** A database of which a batch fails, before it took effect or after; and a domain's object that may not answer. */
import type { Env } from "../../../src/worker/env.ts";
import type { Fault } from "./model-events.ts";

export class FaultyDatabase {
  readonly db: D1Database;
  #fault: { kind: "before" | "after"; skip: number } | null = null;

  constructor(database: D1Database) {
    this.db = new Proxy(database, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        if (name !== "batch") return value.bind(target);
        return (statements: D1PreparedStatement[]) => this.#batch(target, statements);
      },
    });
  }

  /** The next batch but `skip` fails. */
  fault(kind: "before" | "after", skip: number): void {
    this.#fault = { kind, skip };
  }

  /** @returns whether a fault was still to come */
  calm(): boolean {
    const left = this.#fault !== null;
    this.#fault = null;
    return left;
  }

  async #batch(target: D1Database, statements: D1PreparedStatement[]): Promise<D1Result[]> {
    const fault = this.#fault;
    if (!fault || fault.skip-- > 0) return target.batch(statements);
    this.#fault = null;
    if (fault.kind === "after") await target.batch(statements);
    throw new InjectedError(`a batch of ${statements.length} statements was made to fail`);
  }
}

export class InjectedError extends Error {
  override readonly name = "InjectedError";
}

/** What of a domain's object a mailbox asks: whether what waits may be taken. */
export class FakeObject {
  readonly #sending = new Set<string>();
  #failing = false;

  /** It is being sent. @param flight see failback/ports.ts */
  claim(flight: string): void {
    this.#sending.add(flight);
  }

  /** It has its outcome. */
  land(flight: string): void {
    this.#sending.delete(flight);
  }

  /** The next question has no answer. */
  fail(): void {
    this.#failing = true;
  }

  calm(): void {
    this.#failing = false;
  }

  readonly namespace = {
    getByName: () => ({
      withdraw: async (flights: readonly string[]) => {
        if (this.#failing) {
          this.#failing = false;
          throw new InjectedError("the domain's object was made to fail");
        }
        return flights.filter((one) => this.#sending.has(one));
      },
      settle: async () => undefined,
      report: async () => undefined,
    }),
  } as unknown as Env["DOMAIN"];
}

/** Once with the fault; then, as whoever heard nothing of it, again by the same name. */
export async function tried<T>(
  { faulty, object }: { readonly faulty: FaultyDatabase; readonly object: FakeObject },
  fault: Fault,
  act: () => Promise<T>,
): Promise<T> {
  if (fault.kind === "object") object.fail();
  else if (fault.kind !== "none") faulty.fault(fault.kind, fault.skip);
  try {
    const result = await act();
    return isUnasked(result) ? await act() : result;
  } catch (error) {
    if (!(error instanceof InjectedError)) throw error;
    return await act();
  } finally {
    faulty.calm();
    object.calm();
  }
}

/** Redelivery could not be asked to let go: nothing was done, and whoever heard so comes again. */
const isUnasked = (result: unknown): boolean =>
  typeof result === "object" &&
  result !== null &&
  "error" in result &&
  (result.error as { readonly reason?: string }).reason === "not_asked";
