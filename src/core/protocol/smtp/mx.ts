/** In which order the hosts of a domain are tried (RFC 5321 §5.1). Pure: who looks the records up hands them in. */
import { parseDomain } from "../../address.ts";
import { MAX_MX_HOSTS } from "../../send/limits.ts";

export interface MxRecord {
  /** As the name server has it; empty or `.` for the root. */
  readonly exchange: string;
  readonly priority: number;
}

/** `null_mx`: the domain takes no mail (RFC 7505). `loop`: the best host is one of our own, so the mail would come back to us. */
export type MxOrder =
  | { readonly kind: "hosts"; readonly hosts: readonly string[] }
  | { readonly kind: "null_mx" }
  | { readonly kind: "loop" };

/**
 * Lowest preference first, in random order among equals; at and behind one of our own hosts nobody is tried, since they would
 * bring the mail to us. Names that are none (an address, a single label with odd characters) are left out.
 * @param own our own host names, lower case
 * @param random 0 to below 1
 * @returns at most MAX_MX_HOSTS names, lower case and without a last dot; none where no record names a host
 */
export function orderMx(records: readonly MxRecord[], own: ReadonlySet<string>, random: () => number): MxOrder {
  const named = records.map(({ exchange, priority }) => ({
    host: exchange.replace(/\.$/, "").toLowerCase(),
    priority,
  }));
  // RFC 7505 §3: it stands alone; beside others it is a mistake, and those count.
  if (named.length > 0 && named.every(({ host }) => host === "")) return { kind: "null_mx" };
  const hosts = named.filter(({ host }) => parseDomain(host).ok);
  const ours = Math.min(...hosts.filter(({ host }) => own.has(host)).map(({ priority }) => priority));
  const nearer = hosts.filter(({ priority }) => priority < ours);
  if (nearer.length === 0 && hosts.length > 0) return { kind: "loop" };
  const order = nearer
    .map((one) => ({ ...one, lot: random() }))
    .sort((a, b) => a.priority - b.priority || a.lot - b.lot);
  return { kind: "hosts", hosts: [...new Set(order.map(({ host }) => host))].slice(0, MAX_MX_HOSTS) };
}
