/** Which hosts take a domain's mail (RFC 5321 §5.1, RFC 7505), and what its policy asks of them (RFC 8461). */
import { parseDomain } from "../core/address.ts";
import { stsAllows } from "../core/mta-sts.ts";
import type { MxAnswer } from "../core/protocol/gateway/mx-answer.ts";
import { type MxRecord, orderMx } from "../core/protocol/smtp/mx.ts";
import { isAbsent } from "./destination.ts";
import type { StsPolicies } from "./sts-policies.ts";

/** What is asked of name servers, as node:dns has it: an error's `code` tells a name that is not there from a server that fails. */
export interface Names {
  resolveMx(name: string): Promise<MxRecord[]>;
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

export interface MxLookup {
  readonly names: Names;
  readonly policies: StsPolicies;
  /** Our own name; where a domain's best host is called so, its mail would come back to us. */
  readonly self: string;
  readonly port: number;
  /** 0 to below 1. */
  readonly random: () => number;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** @param domain A-labels or U-labels. Never rejects. */
export async function findMx(domain: string, lookup: MxLookup): Promise<MxAnswer> {
  const { names, policies, self, port, random, now } = lookup;
  const parsed = parseDomain(domain);
  if (!parsed.ok) return refused("5.1.2", "The domain of the recipient is no domain name");
  const name = parsed.value;
  const [records, policy] = await Promise.all([recordsOf(name, names), policies.policyOf(name, now())]);
  if (!Array.isArray(records)) return records;
  const order = orderMx(records, new Set([self.toLowerCase()]), random);
  if (order.kind === "null_mx") return refused("5.1.10", `The domain ${name} takes no mail (null MX)`, 556);
  if (order.kind === "loop") return refused("5.4.6", `Mail for ${name} would come back to this server`, 554);
  if (order.hosts.length === 0) return unavailable("origin", `no MX of ${name} is a host name`);
  const answer = { kind: "hosts", port, self: self.toLowerCase() } as const;
  if (policy?.mode !== "enforce") return { ...answer, hosts: [...order.hosts], tls: "opportunistic" };
  const hosts = order.hosts.filter((host) => stsAllows(policy, host));
  if (hosts.length > 0) return { ...answer, hosts, tls: "verified" };
  return unavailable("origin", `no MX of ${name} is in its MTA-STS policy`);
}

/** The MX records; where there are none the domain itself is its host, if it has an address (RFC 5321 §5.1). */
async function recordsOf(name: string, names: Names): Promise<MxRecord[] | MxAnswer> {
  const [mx] = await Promise.allSettled([names.resolveMx(name)]);
  if (mx.status === "fulfilled" && mx.value.length > 0) return mx.value;
  if (mx.status === "rejected" && !isAbsent(mx.reason)) return nameServer(name, mx.reason);
  const addresses = await Promise.allSettled([names.resolve4(name), names.resolve6(name)]);
  if (addresses.some((one) => one.status === "fulfilled" && one.value.length > 0)) {
    return [{ exchange: name, priority: 0 }];
  }
  const failed = addresses.find((one) => one.status === "rejected" && !isAbsent(one.reason));
  if (failed?.status === "rejected") return nameServer(name, failed.reason);
  return refused("5.1.2", `The domain ${name} does not exist, or takes no mail`);
}

function nameServer(name: string, error: unknown): MxAnswer {
  return unavailable("path", `no name server told the MX of ${name}: ${(error as Error).message}`);
}

function refused(enhanced: string, text: string, code = 550): MxAnswer {
  return { kind: "refused", code, enhanced, text: text.slice(0, 500) };
}

function unavailable(where: "origin" | "path", detail: string): MxAnswer {
  return { kind: "unavailable", where, detail: detail.slice(0, 500) };
}
