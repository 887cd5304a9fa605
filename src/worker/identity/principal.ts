/** Who asks, and what is theirs. */
import type { Scope } from "../store/directory.ts";

export interface Operator {
  readonly kind: "operator";
  /** The login name: what events name as the actor. */
  readonly name: string;
}

/** Runs the domains of one customer. */
export interface Administrator {
  readonly kind: "administrator";
  readonly name: string;
  readonly customer: number;
}

/** Owns one mailbox. */
export interface User {
  readonly kind: "user";
  /** The primary address. */
  readonly name: string;
  /** Also the number of the account on the shard. */
  readonly mailbox: number;
  readonly domain: number;
  readonly shard: number;
}

export type Principal = Operator | Administrator | User;

/** The domains that this principal administers. A user administers none. */
export function scopeOf(principal: Principal): Scope {
  switch (principal.kind) {
    case "operator":
      return { kind: "all" };
    case "administrator":
      return { kind: "customer", customer: principal.customer };
    case "user":
      return { kind: "none" };
  }
}
