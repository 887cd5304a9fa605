/** Whether a message can go the way that its domain has chosen, said before it is taken. */
import { parseAddress } from "../../core/address.ts";
import type { Header } from "../../core/mime/header.ts";
import type { Env } from "../env.ts";
import { domainsAmong, type SendingDomain } from "../store/outgoing-settings.ts";
import type { Submission, SubmitRefusal } from "./contract.ts";
import { brokenRule } from "./transports/cloudflare-rules.ts";

/** The domain that a recipient's mail goes to, in normal form; empty where it is no address. */
export function domainOf(recipient: string): string {
  const parsed = parseAddress(recipient);
  return parsed.ok ? parsed.value.domain : "";
}

/** @returns null where it can go */
export async function whyNotOut(
  env: Env,
  { name, route }: SendingDomain,
  submission: Pick<Submission, "from" | "recipients" | "size">,
  header: Header,
): Promise<SubmitRefusal | null> {
  const domains = [...new Set(submission.recipients.map(domainOf))];
  const inside = await domainsAmong(env.DIRECTORY, domains);
  const outside = submission.recipients.filter((to) => !inside.has(domainOf(to)));
  const [recipient] = outside;
  if (recipient === undefined) return null;
  if (route === null) {
    const detail = `Mail of ${name} cannot go out to other domains: an administrator has to set how (outgoing).`;
    return { reason: "no_way_out", detail, recipient };
  }
  if (route.transport !== "cloudflare") return null;
  const rule = brokenRule({ ...submission, header, outside: outside.length });
  return rule === null ? null : { reason: "transport_rules", detail: `Cloudflare does not send this message: ${rule}` };
}
