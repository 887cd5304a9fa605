/** The tokens that make a full-text search proportional to what is found: whose it is, which way it went, whether more came with it. */

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

/** In the scope of a message with attachments. */
export const FILES_TOKEN = "files";

export function scopeTokens(of: {
  account: number;
  domain: number;
  direction: "in" | "out";
  hasAttachment: boolean;
  own?: boolean | undefined;
}): string[] {
  const files = of.hasAttachment ? [FILES_TOKEN] : [];
  if (of.own) return [ownToken(of.account), ...files];
  return [accountToken(of.account), domainToken(of.domain), of.direction, ...files];
}
