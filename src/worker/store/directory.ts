/** The directory database behind drizzle, and the one place where a person's scope becomes SQL. */
import { and, eq, type SQL, sql } from "drizzle-orm";
import { type DrizzleD1Database, drizzle } from "drizzle-orm/d1";
import * as schema from "./directory.schema.ts";

export type Directory = DrizzleD1Database<typeof schema>;

/** Whose domains a query may touch: every repository function that answers people takes one. */
export type Scope =
  | { readonly kind: "all" }
  | { readonly kind: "customer"; readonly customer: number }
  | { readonly kind: "none" };

export function directory(env: { readonly DIRECTORY: D1Database }): Directory {
  return drizzle(env.DIRECTORY, { schema });
}

/** The condition on `domain` that keeps a query within the scope. */
export function inScope(scope: Scope, ...conditions: SQL[]): SQL | undefined {
  switch (scope.kind) {
    case "all":
      return and(...conditions);
    case "customer":
      return and(eq(schema.domain.customer, scope.customer), ...conditions);
    case "none":
      return sql`0`;
  }
}
