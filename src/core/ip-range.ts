/** Ranges of IP addresses in CIDR notation (RFC 4632, RFC 4291 §2.3): whose address a server's is. */
import { err, ok, type Result } from "./result.ts";

interface Ip {
  /** 32 or 128. */
  readonly bits: number;
  readonly value: bigint;
}

const V4 = 32;
const V6 = 128;
/** `::ffff:0:0/96`: an IPv4 address that came in by an IPv6 socket (RFC 4291 §2.5.5.2). */
const MAPPED = 0xffffn;

/**
 * @param text an address, or a range such as `192.0.2.0/24`; bits behind the prefix do not count
 * @param widest the shortest prefix that is taken, of IPv4 and of IPv6
 * @returns the one way to write it: `192.0.2.0/24`, `2001:db8::/48`, a single address with its whole length
 */
export function parseRange(text: string, widest: { readonly v4: number; readonly v6: number }): Result<string, string> {
  const [, address = "", length] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text.trim()) ?? [];
  const ip = parseIp(address);
  if (!ip) return err("is neither an IP address nor a range of them such as 192.0.2.0/24");
  const prefix = length === undefined ? ip.bits : Number(length);
  if (prefix > ip.bits) return err(`has more than ${ip.bits} bits behind its /`);
  const least = ip.bits === V4 ? widest.v4 : widest.v6;
  if (prefix < least) return err(`is too wide: name the addresses of your servers alone, /${least} at most`);
  return ok(write(ip, prefix));
}

/** All ranges that an address is in, from itself to the widest, as `parseRange` writes them; none where it is no address. */
export function rangesOf(address: string): string[] {
  const ip = parseIp(address);
  if (!ip) return [];
  return Array.from({ length: ip.bits + 1 }, (_, less) => write(ip, ip.bits - less));
}

function parseIp(text: string): Ip | null {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const octets = text.split(".").map(Number);
    if (octets.some((octet) => octet > 255)) return null;
    return { bits: V4, value: octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n) };
  }
  // The URL parser knows every way to write an IPv6 address.
  if (!text.includes(":") || !URL.canParse(`http://[${text}]/`)) return null;
  const groups = expand(new URL(`http://[${text}]/`).hostname.slice(1, -1));
  const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
  return value >> 32n === MAPPED ? { bits: V4, value: value & 0xffffffffn } : { bits: V6, value };
}

/** @param address as the URL parser writes it */
function expand(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const read = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const before = read(head);
  const after = tail === undefined ? [] : read(tail);
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}

function write({ bits, value }: Ip, prefix: number): string {
  const rest = BigInt(bits - prefix);
  const network = (value >> rest) << rest;
  const size = bits === V4 ? 8 : 16;
  const parts = Array.from({ length: bits / size }, (_, at) =>
    Number((network >> BigInt(bits - size * (at + 1))) & ((1n << BigInt(size)) - 1n)),
  );
  if (bits === V4) return `${parts.join(".")}/${prefix}`;
  const text = new URL(`http://[${parts.map((part) => part.toString(16)).join(":")}]/`).hostname.slice(1, -1);
  return `${text}/${prefix}`;
}
