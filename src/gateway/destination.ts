/** Where a gateway may connect to, and what it means where it cannot. */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { classifyHost } from "../core/origin-host.ts";
import type { FailedFrame } from "../core/protocol/gateway/tunnel.ts";

/** Failures of our own network, name server or process: they say nothing about the origin. */
const OURS = new Set([
  "EAI_AGAIN",
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ENETUNREACH",
  "ENETDOWN",
  "EADDRNOTAVAIL",
]);

/**
 * A name lookup that leaves out loopback and private addresses: a customer's administrator may name any host, and must not
 * reach the gateway's own surroundings by a public name that points there.
 */
export const publicLookup: LookupFunction = (host, options, callback) => {
  lookup(host, { ...(options as LookupOptions), all: true }, (error, found) => {
    if (error) return callback(error, []);
    const open = (found as LookupAddress[]).filter(({ address }) => isPublic(address));
    if (open.length === 0) return callback(refusal(host), []);
    if (options.all) callback(null, open);
    else callback(null, open[0]?.address ?? "", open[0]?.family);
  });
};

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
  return { op: "failed", where: ours ? "path" : "origin", reason, detail: detail.slice(0, 500) };
}
