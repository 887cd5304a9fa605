/** The transports to an origin, for tests that must come out the same over each. */
import { inject } from "vitest";
import type { OpenedSession } from "../../src/core/protocol/smtp/conversation.ts";
import { type OpenRoute, type OriginOptions, openRoute } from "../../src/worker/deliver/origin.ts";
import type { Route } from "../../src/worker/domain/contract.ts";

export const TRANSPORTS = ["smtp", "gateway"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** What an environment needs to use the gateway that global-setup started. */
export const relay = (): { GATEWAYS: string; GATEWAY_SECRETS: string } => ({
  GATEWAYS: `http://127.0.0.1:${inject("relayPort")}`,
  GATEWAY_SECRETS: "g1:secret-of-the-tests",
});

/** @param route with its password in clear text */
export function openBy(transport: Transport, route: OpenRoute, options: OriginOptions): Promise<OpenedSession> {
  const { password, ...rest } = route;
  const sealed: Partial<Route> = password === undefined ? {} : { passwordEncrypted: "sealed", keyId: "k1" };
  return openRoute({ transport, ...rest, ...sealed }, async () => password ?? "", { relay: relay(), ...options });
}
