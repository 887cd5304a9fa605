/** The origin, the stores and the time as a domain's object sees them; tests put their own in their place. */
import { STORE_TIMEOUT } from "../../core/limits.ts";
import { getRaw } from "../archive/raw.ts";
import { type ProbeResult, probe } from "../decide/probe.ts";
import { openRoute } from "../deliver/origin.ts";
import type { OpenedSession } from "../deliver/session.ts";
import type { Env } from "../env.ts";
import type { RawMessage } from "../failback/ports.ts";
import { openSecret } from "../identity/secret.ts";
import { within } from "../store/deadline.ts";
import type { Route } from "./contract.ts";

export interface World {
  /** Unix milliseconds. */
  now(): number;
  /** Unix milliseconds of the clock that the platform stamps watchers' pings with. */
  stamp(): number;
  pause(milliseconds: number): Promise<void>;
  /** 0 to 1. */
  random(): number;
  probe(route: Route): Promise<ProbeResult>;
  open(route: Route): Promise<OpenedSession>;
  raw(key: string): Promise<RawMessage | null>;
}

export function realWorld(env: Env): World {
  const secret = (encrypted: string, keyId: string): Promise<string> => openSecret(env, encrypted, keyId);
  return {
    now: () => Date.now(),
    stamp: () => Date.now(),
    pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    random: () => Math.random(),
    probe: (route) => probe(route, { openSecret: secret, helo: env.HOSTNAME, relay: env, now: () => Date.now() }),
    open: (route) => openRoute(route, secret, { helo: env.HOSTNAME, relay: env }),
    async raw(key) {
      const object = await within(getRaw(env.MAIL, key), STORE_TIMEOUT, "R2 get");
      return object && { size: object.size, body: object.body, whole: () => object.arrayBuffer() };
    },
  };
}
