/** The watches of a gateway, one a domain, opened when somebody needs one and closed when nobody does any more. */
import { DomainWatch, type Listener, type WatchOptions } from "./domain-watch.ts";
import type { WorkerLink } from "./worker-link.ts";

export class Watches {
  readonly #link: WorkerLink;
  readonly #options: WatchOptions;
  readonly #domains = new Map<string, DomainWatch>();

  constructor(link: WorkerLink, options: WatchOptions = {}) {
    this.#link = link;
    this.#options = options;
  }

  /** See `DomainWatch.watch`. @param domain the mailbox's, A-labels in lower case */
  watch(domain: string, account: number, since: number | null, listener: Listener): () => void {
    const known = this.#domains.get(domain);
    const watch = known ?? new DomainWatch(this.#link, domain, this.#options);
    if (!known) {
      for (const [name, other] of this.#domains) if (other.idle) this.#domains.delete(name);
      this.#domains.set(domain, watch);
    }
    return watch.watch(account, since, listener);
  }

  close(): void {
    for (const watch of this.#domains.values()) watch.close();
    this.#domains.clear();
  }
}
