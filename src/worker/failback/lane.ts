/** One connection after the other, many messages over each; in the domain's object or in another invocation. */
import { EXCHANGE_TIMEOUT, MAX_BUFFERED_BYTES, UPCOMING_PATIENCE } from "../../core/limits.ts";
import { isOpen, type OpenedSession, type OriginSession } from "../deliver/session.ts";
import { within } from "../store/deadline.ts";
import type { Assignment, Desk, Hint, Orders, Report } from "./exchange.ts";
import type { Octets, Source } from "./octets.ts";
import { type Loaded, loaded, type Sent, send } from "./send.ts";

export interface LanePorts {
  open(): Promise<OpenedSession>;
  /** Shared by the lanes of an invocation. */
  readonly stored: Octets;
  /** Milliseconds; only differences count. */
  clock(): number;
}

/** A large message is opened only when its turn comes: it holds one of the few connections to R2. */
type Claimed = Loaded | Assignment;

/** The exchange that reports what was sent before, and claims what follows. */
interface Ahead {
  readonly orders: Promise<Orders>;
  readonly next: Promise<Claimed | null>;
  /** What `next` has come to; undefined: nothing yet. */
  readonly here: { value?: Claimed | null };
}

export class Lane {
  readonly #slot: number;
  readonly #desk: Desk;
  readonly #ports: LanePorts;
  /** What the desk has not confirmed. */
  readonly #reports: Report[] = [];
  #session: OriginSession | null = null;
  #preloaded: { readonly object: string; readonly source: Promise<Source | "large" | null> } | null = null;
  /** What was announced behind the last final dot. */
  #announced: string | null = null;
  /** Servers that lose what comes behind a final dot get it only after their reply. */
  #announces = true;
  #leaving = false;
  #dotSent = false;

  constructor(slot: number, desk: Desk, ports: LanePorts) {
    this.#slot = slot;
    this.#desk = desk;
    this.#ports = ports;
  }

  /** Never rejects. @returns what the desk has not confirmed: whoever reads it has to tell it */
  async run(): Promise<readonly Report[]> {
    try {
      await this.#work();
    } catch (error) {
      console.error("a connection of a failback run ends: nobody takes its reports", String(error));
    } finally {
      this.#session?.close();
    }
    return this.#reports;
  }

  /** Ends it: what has not had its final dot is left, and given back; a reply that is outstanding is waited for. */
  leave(): void {
    this.#leaving = true;
    if (!this.#dotSent) this.#session?.close();
  }

  async #work(): Promise<void> {
    let current: Claimed | null = await this.#take();
    let ahead: Ahead | null = null;
    while (current) {
      let well = false;
      const message: Loaded | null = isLoaded(current) ? current : await this.#load(current, "now");
      const session = message && (await this.#connected());
      if (message && !session) return this.#giveBack(message);
      if (message && session) {
        current = message;
        // Behind the final dot of this one the next may be announced: it is to be claimed by then.
        if (this.#mayAnnounce(session, message)) ahead ??= this.#ahead();
        const how = await this.#carry(session, message, ahead);
        if (how === "unheard") continue; // once more, without announcing
        well = how === "well";
      }
      const next: Claimed | null = ahead ? await ahead.next : null;
      ahead = null;
      if (next === null) {
        current = await this.#take();
      } else if (well && session?.usable && this.#mayAnnounce(session, next)) {
        ahead = this.#ahead();
        current = next;
      } else {
        // What went badly may be the end of the run.
        const { stop } = await this.#ask(false);
        if (stop || this.#leaving) return this.#giveBack(next);
        current = next;
      }
    }
  }

  #mayAnnounce(session: OriginSession, current: Claimed): boolean {
    // A large message takes its time: nothing is held back for it.
    return this.#announces && session.extensions.has("PIPELINING") && isSmall(current);
  }

  #ahead(): Ahead {
    const orders = this.#ask(true);
    const next = orders.then(async ({ claimed }): Promise<Claimed | null> => claimed && this.#load(claimed, "ahead"));
    const here: Ahead["here"] = {};
    // Both are waited for; but the first may have thrown by then.
    next.then(
      (value) => {
        here.value = value;
      },
      () => undefined,
    );
    return { orders, next, here };
  }

  /** @returns `unheard` where the origin did not even answer an announcement. @throws where no desk answers */
  async #carry(session: OriginSession, current: Loaded, ahead: Ahead | null): Promise<"well" | "badly" | "unheard"> {
    const announced = this.#announced === current.assignment.key;
    this.#announced = null;
    const began = this.#ports.clock();
    let sent: Sent;
    try {
      sent = await send(session, current, () => this.#beforeDot(session, ahead));
    } catch (error) {
      current.source.close();
      throw error;
    }
    if (announced && isSilence(sent)) {
      this.#announces = false;
      return "unheard";
    }
    this.#conclude(current, sent, this.#ports.clock() - began);
    return sent.outcome.kind === "delivered" || sent.outcome.kind === "refused" ? "well" : "badly";
  }

  /** The final dot goes out only when the desk knows what became of the message before: a crash repeats one at most. */
  async #beforeDot(session: OriginSession, ahead: Ahead | null): Promise<{ go: boolean; next: Loaded | null }> {
    const orders = ahead ? await ahead.orders : null;
    if (orders?.stop || this.#leaving) return { go: false, next: null };
    const claimed = ahead && this.#announces ? await soon(ahead) : null;
    if (this.#leaving) return { go: false, next: null };
    const next = claimed && isLoaded(claimed) && session.extensions.has("PIPELINING") ? claimed : null;
    this.#announced = next?.assignment.key ?? null;
    this.#dotSent = true;
    return { go: true, next };
  }

  #conclude(current: Loaded, { outcome, lineEndsChanged }: Sent, took: number): void {
    const { key } = current.assignment;
    current.source.close();
    const cutOff = this.#leaving && !this.#dotSent && outcome.kind === "unavailable";
    this.#dotSent = false;
    if (outcome.kind === "broken") this.#reports.push({ kind: "broken", key, error: String(outcome.error) });
    else if (outcome.kind === "left" || cutOff) this.#reports.push({ kind: "returned", key });
    else this.#reports.push({ kind: "sent", key, outcome, took, lineEndsChanged });
  }

  /** @returns null where there is none: the reason is reported */
  async #connected(): Promise<OriginSession | null> {
    if (this.#session?.usable) return this.#session;
    this.#session?.close();
    this.#session = null;
    if (this.#leaving) return null;
    const began = this.#ports.clock();
    const opened = await this.#ports.open();
    if (!isOpen(opened)) {
      this.#reports.push({ kind: "not_connected", outcome: opened, took: this.#ports.clock() - began });
      return null;
    }
    this.#reports.push({ kind: "connected" });
    this.#session = opened.session;
    return opened.session;
  }

  async #giveBack(claimed: Claimed): Promise<void> {
    if (isLoaded(claimed)) claimed.source.close();
    this.#reports.push({ kind: "returned", key: assignmentOf(claimed).key });
    await this.#ask(false);
  }

  /** The next message, or null where there is nothing more for this connection. */
  async #take(): Promise<Assignment | null> {
    return (await this.#ask(!this.#leaving)).claimed;
  }

  /** @param when `ahead` of its turn a large one is not opened. @returns null where its octets cannot be had: that is reported */
  async #load(assignment: Assignment, when: "now"): Promise<Loaded | null>;
  async #load(assignment: Assignment, when: "ahead"): Promise<Claimed | null>;
  async #load(assignment: Assignment, when: "now" | "ahead"): Promise<Claimed | null> {
    const { key, object } = assignment;
    const { stored } = this.#ports;
    try {
      let source = this.#preloaded?.object === object ? await this.#takePreloaded() : "large";
      if (source === "large" && when === "ahead" && !isSmall(assignment)) return assignment;
      if (source === "large") source = when === "ahead" ? await stored.buffer(object) : await stored.open(object);
      if (source === "large") return assignment;
      if (source) return loaded(assignment, source);
      this.#reports.push({ kind: "missing", key });
    } catch (error) {
      this.#reports.push({ kind: "broken", key, error: String(error) });
    }
    return null;
  }

  /** One at a time. What was reported is forgotten only when the desk has confirmed it. */
  async #ask(more: boolean): Promise<Orders> {
    const reports = [...this.#reports];
    const answer = this.#desk.exchange(this.#slot, reports, more);
    const orders = await within(answer, EXCHANGE_TIMEOUT, "the domain's object, asked for orders");
    this.#reports.splice(0, reports.length);
    this.#preload(orders.hint);
    return orders;
  }

  #preload(hint: Hint | null): void {
    if (!hint || hint.size > MAX_BUFFERED_BYTES || this.#preloaded?.object === hint.object) return;
    const source = this.#ports.stored.buffer(hint.object);
    source.catch(() => undefined); // whoever takes it has the error
    this.#preloaded = { object: hint.object, source };
  }

  #takePreloaded(): Promise<Source | "large" | null> | null {
    const source = this.#preloaded?.source ?? null;
    this.#preloaded = null;
    return source;
  }
}

function isLoaded(claimed: Claimed): claimed is Loaded {
  return "source" in claimed;
}

function assignmentOf(claimed: Claimed): Assignment {
  return isLoaded(claimed) ? claimed.assignment : claimed;
}

function isSmall(claimed: Claimed): boolean {
  return assignmentOf(claimed).size <= MAX_BUFFERED_BYTES;
}

/** The connection broke, or nothing came at all, where only a reply to MAIL was due. */
function isSilence({ outcome }: Sent): boolean {
  return outcome.kind === "unavailable" && outcome.phase === "mail" && outcome.reason !== "reply";
}

/** What is there within UPCOMING_PATIENCE, else null. */
async function soon({ next, here }: Ahead): Promise<Claimed | null> {
  if (here.value !== undefined) return here.value;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), UPCOMING_PATIENCE);
  });
  try {
    return await Promise.race([next, late]);
  } finally {
    clearTimeout(timer);
  }
}
