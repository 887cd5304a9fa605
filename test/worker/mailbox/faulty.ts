/** A database of which a batch fails: before it took effect, or after. */

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
