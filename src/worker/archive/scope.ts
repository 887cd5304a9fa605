/** The tokens that make a full-text search proportional to what is found: whose it is, and which way it went. */

/** `a17`; the panel's own account of domain 3, whose number is -3: `p3`. */
export function accountToken(account: number): string {
  return account < 0 ? `p${-account}` : `a${account}`;
}

export function domainToken(domain: number): string {
  return `d${domain}`;
}

export function scopeTokens(of: { account: number; domain: number; direction: "in" | "out" }): string[] {
  return [accountToken(of.account), domainToken(of.domain), of.direction];
}
