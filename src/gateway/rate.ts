import { isIPv6 } from "node:net";

/** How often an address may come: a count for each in the minute that is running, and none remembered beyond it. */
const MINUTE = 60_000;

export class MinuteRate {
  readonly #most: number;
  #minute = 0;
  readonly #counts = new Map<string, number>();

  /** @param most in a minute; 0: without a limit */
  constructor(most: number) {
    this.#most = most;
  }

  /** @param now milliseconds. @returns false where it is one too many */
  allows(address: string, now: number): boolean {
    if (this.#most === 0) return true;
    const minute = Math.floor(now / MINUTE);
    if (minute !== this.#minute) this.#counts.clear();
    this.#minute = minute;
    const count = (this.#counts.get(address) ?? 0) + 1;
    this.#counts.set(address, count);
    return count <= this.#most;
  }
}

/**
 * What counts as one sender: an IPv4 address; of IPv6 the first 64 bits, as whoever has one such address has all of its network
 * (RFC 4291 §2.5.1, RFC 6177 §2).
 */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (!isIPv6(plain)) return plain;
  const [head = "", tail] = (plain.split("%")[0] ?? plain).split("::");
  const before = head.split(":").filter(Boolean);
  const zeros = tail === undefined ? 0 : 8 - before.length - tail.split(":").filter(Boolean).length;
  const groups = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => "0"), ...(tail ?? "").split(":")];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
