/** The folders of a mailbox as they should be, and what is counted in them. */
import { DELETED, DRAFT, SEEN } from "../../../src/worker/store/flags.ts";

export interface Node {
  name: string;
  parent: number;
  readonly role: string | null;
}

export class Tree {
  readonly all = new Map<number, Node>();

  add(id: number, node: Node): void {
    this.all.set(id, node);
  }

  get(id: number): Node | undefined {
    return this.all.get(id);
  }

  has(id: number): boolean {
    return this.all.has(id);
  }

  delete(id: number): void {
    this.all.delete(id);
  }

  /** Any number: taken modulo what there is. */
  nth(n: number): number {
    const ids = [...this.all.keys()];
    return ids[n % ids.length] ?? 0;
  }

  byRole(role: string): number {
    return [...this.all].find(([, one]) => one.role === role)?.[0] ?? 0;
  }

  isArchive(id: number): boolean {
    return this.all.get(id)?.role === "archive";
  }

  hasFolders(id: number): boolean {
    return [...this.all.values()].some(({ parent }) => parent === id);
  }

  taken(name: string, parent: number, but: number): boolean {
    return [...this.all].some(([id, one]) => id !== but && one.parent === parent && one.name === name);
  }

  /** @returns why a folder cannot be called that, there; null: it can */
  whyNot(id: number, name: string, parent: number): string | null {
    const role = this.all.get(id)?.role;
    if (role === "inbox" || role === "archive") return "fixed";
    if (this.isArchive(parent)) return "no_parent";
    for (let up = parent; up !== 0; up = this.all.get(up)?.parent ?? 0) if (up === id) return "cycle";
    return this.taken(name, parent, id) ? "exists" : null;
  }

  /** All but the archive, which nobody changes. */
  changing(): number[] {
    return [...this.all].filter(([, { role }]) => role !== "archive").map(([id]) => id);
  }
}

export function countsOf(all: readonly { readonly flags: number; readonly size: number }[]) {
  const without = (bits: number) => all.filter(({ flags }) => (flags & bits) === 0).length;
  return {
    messages: all.length,
    unseen: without(SEEN),
    unread: without(SEEN | DRAFT | DELETED),
    deleted: all.length - without(DELETED),
    size: all.reduce((sum, { size }) => sum + size, 0),
  };
}
