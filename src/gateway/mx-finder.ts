/** The gateway's own look-up of a domain's hosts: its name servers, its policies, its clock. */

import type { MxAnswer } from "../core/protocol/gateway/mx-answer.ts";
import { MX_NAME_SERVER_TIMEOUT } from "../core/send/limits.ts";
import type { Relay } from "./configuration.ts";
import { namedLookup, publicLookup, resolverOf } from "./destination.ts";
import { findMx } from "./mx-lookup.ts";
import { type PolicyServer, policyByHttps, StsPolicies } from "./sts-policies.ts";

/** @param self our host name. @returns never rejects */
export function mxFinder(
  self: string,
  { nameServers, privateNames, mxHostPort }: Relay,
  server: Pick<PolicyServer, "port" | "ca">,
): (domain: string) => Promise<MxAnswer> {
  const servers = nameServers.length > 0 ? nameServers : undefined;
  const names = resolverOf(servers, MX_NAME_SERVER_TIMEOUT);
  const lookup = privateNames && servers ? namedLookup(servers) : publicLookup(servers);
  const policies = new StsPolicies((name) => names.resolveTxt(name), policyByHttps({ ...server, lookup }));
  return (domain) => findMx(domain, { names, policies, self, port: mxHostPort, random: Math.random, now: Date.now });
}
