/** The tokens that make a full-text search proportional to what is found: whose it is, and which way it went. */

/** `a17`; the panel's own account of domain 3, whose number is -3: `p3`. */
export function accountToken(account: number): string {
  return account < 0 ? `p${-account}` : `a${account}`;
}

/** Of what its owner put into a folder (APPEND, a draft): nobody else's search finds it, nor does one of the archive. */
export function ownToken(account: number): string {
  return `o${account}`;
}

export function domainToken(domain: number): string {
  return `d${domain}`;
}

export function scopeTokens(of: {
  account: number;
  domain: number;
  direction: "in" | "out";
  own?: boolean | undefined;
}): string[] {
  if (of.own) return [ownToken(of.account)];
  return [accountToken(of.account), domainToken(of.domain), of.direction];
}
