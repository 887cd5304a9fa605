/** Where a gateway may connect to, and what it means where it cannot. */
import { lookup } from "node:dns";
import { Resolver } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { NAME_SERVER_TIMEOUT, NAME_SERVER_TRIES } from "../core/limits.ts";
import { classifyHost } from "../core/origin-host.ts";
import type { FailedFrame } from "../core/protocol/gateway/tunnel.ts";

/** Failures of our own network, name server, firewall or process: they say nothing about the origin. */
const OURS = new Set([
  "EACCES",
  "EPERM",
  "EAI_AGAIN",
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
]);

/** A name server that says so has answered: there is no such host. All else that goes wrong is ours. */
const NO_SUCH_HOST = new Set(["ENOTFOUND", "ENODATA", "EBADNAME"]);

/** Names of one's own network stand in its hosts file too: as the machine itself looks them up. */
export const anyLookup: LookupFunction = lookup;

/**
 * A name lookup that leaves out loopback and private addresses: a customer's administrator may name any host, and must not
 * reach the gateway's own surroundings by a public name that points there. The name servers are asked directly: the machine's
 * own lookup takes one of four threads until it gives up, and one customer's dead name server would keep all others waiting.
 * @param servers with their ports; absent: those of the machine
 */
export function publicLookup(servers?: readonly string[]): LookupFunction {
  return lookupBy(servers, isPublic);
}

/** What the named servers say, private addresses too. */
export function namedLookup(servers: readonly string[]): LookupFunction {
  return lookupBy(servers, () => true);
}

function lookupBy(servers: readonly string[] | undefined, isOpen: (address: string) => boolean): LookupFunction {
  return (host, options, callback) => {
    addressesOf(host, servers).then(
      (found) => {
        const open = found.filter(({ address }) => isOpen(address));
        const [first] = open;
        if (!first) callback(refusal(host), []);
        else if (options.all) callback(null, open);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

/** @param timeout milliseconds of the first try; the second has twice as long */
export function resolverOf(servers?: readonly string[], timeout = NAME_SERVER_TIMEOUT): Resolver {
  const resolver = new Resolver({ timeout, tries: NAME_SERVER_TRIES });
  if (servers) resolver.setServers(servers);
  return resolver;
}

/** A name server has answered: there is no such name, or nothing of the kind at it. All else that goes wrong is ours. */
export const isAbsent = (error: unknown): boolean => NO_SUCH_HOST.has((error as NodeJS.ErrnoException).code ?? "");

/** IPv4 first: a mail server's reputation is that of its IPv4 address. @throws where there is none of either */
async function addressesOf(host: string, servers?: readonly string[]): Promise<{ address: string; family: 4 | 6 }[]> {
  const resolver = resolverOf(servers);
  const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [
    ...(four.status === "fulfilled" ? four.value.map((address) => ({ address, family: 4 as const })) : []),
    ...(six.status === "fulfilled" ? six.value.map((address) => ({ address, family: 6 as const })) : []),
  ];
  if (found.length > 0) return found;
  const reasons = [four, six].flatMap((one) =>
    one.status === "rejected" ? (one.reason as NodeJS.ErrnoException) : [],
  );
  const ours = reasons.find((reason) => !isAbsent(reason));
  const { message } = ours ?? reasons[0] ?? new Error(`${host} has no address`);
  throw Object.assign(new Error(message), { code: ours ? "EAI_AGAIN" : "ENOTFOUND" });
}

export const isPublic = (address: string): boolean => classifyHost(address).kind === "public";

export function refusal(host: string): NodeJS.ErrnoException {
  const what = isIP(host) ? "is" : "has only";
  return Object.assign(new Error(`${host} ${what} loopback or private addresses`), { code: "EPRIVATE" });
}

/** What a failed connection tells the Worker. */
export function failureOf(error: NodeJS.ErrnoException, reason: FailedFrame["reason"]): FailedFrame {
  // With several addresses Node.js gives one error for each.
  const all = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [error];
  const ours = all.every(({ code }) => OURS.has(code ?? ""));
  const detail = all.map(({ message }) => message).join("; ");
  // Names in a server's certificate are its own choice, and end up in logs.
  const readable = detail.replace(/[\0-\x1f\x7f-\x9f]/g, " ");
  return { op: "failed", where: ours ? "path" : "origin", reason, detail: readable.slice(0, 500) };
}
