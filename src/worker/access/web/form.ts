/** What a form has sent: texts only, and what is not there is undefined. */
import type { AppContext } from "../context.ts";

export class Form {
  readonly #fields: Record<string, unknown>;

  constructor(fields: Record<string, unknown>) {
    this.#fields = fields;
  }

  static async of(c: AppContext): Promise<Form> {
    return new Form(await c.req.parseBody());
  }

  /** Trimmed; an empty field is undefined. */
  text(name: string): string | undefined {
    return this.raw(name)?.trim() || undefined;
  }

  /** As typed, for passwords. */
  raw(name: string): string | undefined {
    const value = this.#fields[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  checked(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  /** One of a few values, or undefined. */
  oneOf<const T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.raw(name);
    return values.find((candidate) => candidate === value);
  }
}
