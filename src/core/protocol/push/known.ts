/** What a watcher knows of one mailbox: which of the states it hears of are news. */

export class KnownState {
  #seq: number | null;
  /** The first word after a connection counts whatever it is: the counter may have begun anew (a shard made from R2). */
  #fresh = true;

  /** @param seq the state that the watcher has; null: none */
  constructor(seq: number | null) {
    this.#seq = seq;
  }

  get seq(): number | null {
    return this.#seq;
  }

  /** A connection was opened anew. */
  reconnected(): void {
    this.#fresh = true;
  }

  /** @param seq null: nobody knows, so it is news. @returns whether it is news; then it is known from now on */
  hear(seq: number | null): boolean {
    if (seq === null) return true;
    const known = this.#seq;
    // Two changes at once may be told in either order.
    const news = known === null || (this.#fresh ? seq !== known : seq > known);
    this.#fresh = false;
    if (news) this.#seq = seq;
    return news;
  }
}
