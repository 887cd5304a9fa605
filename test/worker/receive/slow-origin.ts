/** An origin that has the whole message and thinks about it for longer than a sender waits: content filters do that. */
import { env, runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, vi } from "vitest";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import type { Env } from "../../../src/worker/env.ts";
import type { Patience } from "../../../src/worker/receive/patience.ts";
import { withCalls } from "../broken.ts";
import { createOrganisation, kept, letter, must, type Organisation, transact } from "./organisation.ts";

export let organisation: Organisation;
export const DOMAIN = "slow.example";
export const ANN = `ann@${DOMAIN}`;
export const BOB = `bob@${DOMAIN}`;
export const DAN = `dan@${DOMAIN}`;
export const HELD = { steps: { final: { held: true } } } as const;
/** A sender that waits for a moment, and then no longer. */
export const HURRIED: Partial<Patience> = { budget: 1_500, final: 0 };
/** Until the budget of a message whose final dot is out is surely over. */
export const budgetOver = () => scheduler.wait(1_700);
export const minutes = 60_000;

export const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
export const rowsOf = async (subject: string) => (await kept(DOMAIN)).filter((row) => row.subject === subject);
export const object = () => env.DOMAIN.getByName(DOMAIN);

/** Those that the origin has taken, by subject. */
export async function taken(subject: string): Promise<number> {
  const messages = await organisation.origin.messages();
  const decoder = new TextDecoder();
  return messages.filter(({ accepted, raw }) => accepted && decoder.decode(raw).includes(`Subject: ${subject}\r\n`))
    .length;
}

/** The final dots that the origin has seen. */
export async function dots(): Promise<number> {
  return (await organisation.origin.report()).transcript.filter((line) => line === "C: (message) .").length;
}

/** What a run of redelivery does now, and at the times that are due until then. @param later milliseconds from now */
export async function run(later = 0): Promise<void> {
  await runInDurableObject(object(), async (object: DomainObject) => {
    const real = object.world;
    object.world = { ...real, now: () => Date.now() + later };
    await object.wake(DOMAIN);
    await object.alarm();
    object.world = real;
  });
}

/** A stub of which one call fails before it has had any effect. */
function without<T extends object>(stub: T, name: string): T {
  return new Proxy(stub, {
    get: (stub, method) => {
      if (method === name) return () => Promise.reject(new Error("the object is down"));
      const value: unknown = Reflect.get(stub, method);
      return typeof value === "function" ? (...args: unknown[]) => Reflect.apply(value, stub, args) : value;
    },
  });
}

/** The domain's object answers no call of that name. */
export function withoutCall(name: "hold" | "settleFinal"): Env {
  const DOMAIN = withCalls(env.DOMAIN, { getByName: (domain: string) => without(env.DOMAIN.getByName(domain), name) });
  return { ...(env as Env), DOMAIN };
}

export function keeperWithout(name: string): Env["KEEPER"] {
  return withCalls(env.KEEPER, { get: (id: DurableObjectId) => without(env.KEEPER.get(id), name) });
}

export const detached = { waitUntil: () => undefined };
export const late = (
  to: readonly string[],
  subject: string,
  options: { env?: Env; patience?: Partial<Patience> } = {},
) => transact(detached, to, letter({ Subject: subject }), { patience: HURRIED, ...options });

/** Once in each file: every test finds its domain in normal mode, and an origin that holds its answer to the final dot back. */
export function useSlowOrigin(): void {
  // Each waits for a budget to end, and a busy machine adds to that.
  vi.setConfig({ testTimeout: 30_000 });
  beforeAll(async () => {
    organisation = await createOrganisation(DOMAIN);
  });
  beforeEach(async () => {
    await mode("normal");
    await organisation.origin.set(HELD);
  });
}
