/**
 * Hosts that only an operator may name as origin: loopback, private and link-local ones. Otherwise a customer's
 * administrator could make the service talk to its own insides. (A public name that resolves to a private address is
 * refused by the platform's connect(), and by a gateway.)
 */
import { parseDomain } from "./address.ts";

export type HostKind = "public" | "private" | "invalid";

/** @returns the host in normal form (IPv6 without brackets) and its kind */
export function classifyHost(text: string): { readonly host: string; readonly kind: HostKind } {
  const given = text.trim().toLowerCase().replace(/\.$/, "");
  const bracketed = given.includes(":") && !given.startsWith("[") ? `[${given}]` : given;
  // The URL parser reads every form that a resolver would: decimal, octal, hexadecimal, shortened, mapped.
  const url = `http://${bracketed}/`;
  if (!/^[^\s/?#@\\%]+$/.test(given) || !URL.canParse(url)) return { host: given, kind: "invalid" };
  const parsed = new URL(url);
  const host = parsed.hostname.replace(/\.$/, "");
  if (parsed.port !== "" || host === "") return { host: given, kind: "invalid" };
  if (host.startsWith("["))
    return { host: host.slice(1, -1), kind: isPrivateIpv6(host.slice(1, -1)) ? "private" : "public" };
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return { host, kind: isPrivateIpv4(host) ? "private" : "public" };
  if (!parseDomain(host).ok) return { host, kind: "invalid" };
  return { host, kind: isPrivateName(host) ? "private" : "public" };
}

/** RFC 6761, RFC 6762, RFC 8375, RFC 9476; a name without a dot is looked up in one's own network. */
function isPrivateName(name: string): boolean {
  return (
    !name.includes(".") || /\.(localhost|local|localdomain|internal|intranet|lan|home\.arpa|alt|onion)$/.test(name)
  );
}

/** RFC 6890 and the registry that it founded. */
function isPrivateIpv4(address: string): boolean {
  const [a = 0, b = 0, c = 0] = address.split(".").map(Number);
  return (
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 192 && b === 0 && (c === 0 || c === 2)) ||
    (a === 198 && (b === 18 || b === 19)) ||
    (a === 198 && b === 51 && c === 100) ||
    (a === 203 && b === 0 && c === 113)
  );
}

/** Only global unicast, 2000::/3 (RFC 4291 §2.4), is public; what carries an IPv4 address counts as that address. */
function isPrivateIpv6(address: string): boolean {
  const groups = expand(address);
  const [first = 0, second = 0, third = 0] = groups;
  const embedded = (high: number, low: number): boolean =>
    isPrivateIpv4([high >> 8, high & 255, low >> 8, low & 255].join("."));
  const last = embedded(groups[6] ?? 0, groups[7] ?? 0);
  // ::ffff:0:0/96 (RFC 4291 §2.5.5.2) and 64:ff9b::/96 (RFC 6052); 64:ff9b:1::/48 is for one's own network (RFC 8215)
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return last;
  if (first === 0x64 && second === 0xff9b && groups.slice(2, 6).every((group) => group === 0)) return last;
  if ((first & 0xe000) !== 0x2000) return true;
  if (first === 0x2002) return embedded(second, third); // 6to4, RFC 3056
  return first === 0x2001 && (second === 0xdb8 || second === 0); // documentation, Teredo
}

/** The eight groups of an address that the URL parser has written. */
function expand(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const read = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = read(head);
  const after = tail === undefined ? [] : read(tail);
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}
