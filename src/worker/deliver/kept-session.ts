/** A conversation with an origin over a connection that a keeper has (keeper.ts): the Worker's end. */
import { KEEPER_OPEN, KEEPER_STEP, PLAN_TIMEOUT } from "../../core/limits.ts";
import type { Outcome, Refused, Unavailable } from "../../core/outcome.ts";
import { BareLines } from "../../core/protocol/smtp/bare-lines.ts";
import type { Route } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import type { KeeperRpc, Keeping, Step } from "./keeper.ts";
import type { MailParameters, MessageWriter, OpenedSession, OriginSession } from "./session.ts";

/** Whoever can go on waiting for a final reply when the Worker has ended. */
export interface Keeper {
  /** Never rejects. @returns whether it waits and tells the domain's object; if not, the Worker has to */
  keep(keeping: Keeping): Promise<boolean>;
}

export type KeptOpenedSession = OpenedSession & { readonly keeper?: Keeper };

/** Never rejects. @returns null where no keeper can be had: the origin has not been asked for more than a connection */
export async function openKept(env: Pick<Env, "KEEPER">, route: Route): Promise<KeptOpenedSession | null> {
  try {
    const keeper = env.KEEPER.get(env.KEEPER.newUniqueId()) as unknown as KeeperRpc;
    // One that does not answer must not use up the time of the sender: that would look as if the origin did not.
    const opened = await within(keeper.open(route), KEEPER_OPEN, "a keeper for a connection");
    if ("kind" in opened) return opened;
    const session = new KeptSession(keeper, new Map(opened.extensions));
    return { session, greeting: opened.greeting, keeper: session };
  } catch (error) {
    console.error("there is no keeper for a connection", String(error));
    return null;
  }
}

class KeptSession implements OriginSession, Keeper {
  readonly extensions: ReadonlyMap<string, string>;
  readonly #keeper: KeeperRpc;
  #usable = true;

  constructor(keeper: KeeperRpc, extensions: ReadonlyMap<string, string>) {
    this.#keeper = keeper;
    this.extensions = extensions;
  }

  get usable(): boolean {
    return this.#usable;
  }

  mail(parameters: MailParameters): Promise<Outcome> {
    return this.#step("mail", KEEPER_STEP, () => this.#keeper.mail(parameters));
  }

  rcpt(to: string): Promise<Outcome> {
    return this.#step("rcpt", KEEPER_STEP, () => this.#keeper.rcpt(to));
  }

  async data(): Promise<MessageWriter | Refused | Unavailable> {
    const failed = await this.#step("data", KEEPER_STEP, () => this.#keeper.data());
    if (failed) return failed;
    // The keeper's writer changes them; what it meets is seen here too.
    const bare = new BareLines();
    let changed = false;
    return {
      get lineEndsChanged() {
        return changed;
      },
      write: (chunk) => {
        changed = bare.look(chunk) || changed;
        return this.#step("data", KEEPER_STEP, () => this.#keeper.write(chunk));
      },
      finish: (timeout) => {
        changed = bare.end() || changed;
        return this.#step("final", timeout + KEEPER_STEP, () => this.#keeper.finish(timeout));
      },
      abort: () => this.close(),
    };
  }

  async begin(parameters: MailParameters, to: string): Promise<MessageWriter | Refused | Unavailable> {
    for (const step of [() => this.mail(parameters), () => this.rcpt(to)]) {
      const outcome = await step();
      if (outcome.kind !== "delivered") return outcome;
    }
    return this.data();
  }

  /** A keeper has one transaction. */
  async reset(): Promise<Outcome> {
    this.close();
    return unsupported("reset");
  }

  async noop(): Promise<Outcome> {
    return unsupported("noop");
  }

  close(): void {
    this.#usable = false;
    // Given up: should it not hear, it hangs up by itself.
    this.#keeper.close().catch(() => undefined);
  }

  async keep(keeping: Keeping): Promise<boolean> {
    try {
      return await within(this.#keeper.keep(keeping), PLAN_TIMEOUT, "the keeper of a connection");
    } catch (error) {
      console.error("a keeper does not wait for a late reply", keeping.domain, String(error));
      return false;
    }
  }

  async #step<T>(phase: Unavailable["phase"], limit: number, step: () => Promise<Step<T>>): Promise<T | Unavailable> {
    if (!this.#usable) return broken(phase, "it is closed");
    try {
      const { value, usable } = await within(step(), limit, "the keeper of a connection");
      this.#usable = usable;
      return value;
    } catch (error) {
      this.close();
      return broken(phase, error);
    }
  }
}

function broken(phase: Unavailable["phase"], error: unknown): Unavailable {
  const detail = `the keeper of the connection: ${String(error)}`;
  return { kind: "unavailable", where: "path", phase, reason: "dropped", detail };
}

function unsupported(phase: Unavailable["phase"]): Unavailable {
  return { kind: "unavailable", where: "path", phase, reason: "unsupported" };
}
