/** `journal-SECRET@…`: an address to which a customer's server sends copies. The secret, of 160 bits, says whose. Pure. */
import { splitAddress } from "../address.ts";

const LOCAL = /^journal-([a-z2-7]{32})$/i;

/** @returns the secret, lower case; null where it is no such address */
export function journalSecret(address: string): string | null {
  return LOCAL.exec(splitAddress(address)?.local ?? "")?.[1]?.toLowerCase() ?? null;
}

export const journalAddress = (secret: string, domain: string): string => `journal-${secret}@${domain}`;
