/** The MTA-STS policies of strangers' domains (RFC 8461), fetched and remembered. */
import { request } from "node:https";
import type { LookupFunction } from "node:net";
import { parseStsPolicy, type StsPolicy, stsIdOf } from "../core/mta-sts.ts";
import { MAX_STS_POLICIES, MAX_STS_POLICY_BYTES, STS_AGAIN, STS_FETCH_TIMEOUT } from "../core/send/limits.ts";
import { isAbsent } from "./destination.ts";

/** Fetches a policy file. @throws where there is none, or it cannot be had */
export type FetchPolicy = (domain: string) => Promise<string>;

interface Known {
  /** Null: there is none that holds. */
  readonly held: { readonly id: string; readonly policy: StsPolicy; readonly until: number } | null;
  /** The identifier whose policy could not be had, and until when nobody asks for it again (unix milliseconds). */
  readonly failed?: { readonly id: string; readonly until: number };
}

export class StsPolicies {
  readonly #texts: (name: string) => Promise<string[][]>;
  readonly #fetch: FetchPolicy;
  readonly #known = new Map<string, Known>();

  /** @param texts the TXT records of a name, as node:dns has them */
  constructor(texts: (name: string) => Promise<string[][]>, fetch: FetchPolicy) {
    this.#texts = texts;
    this.#fetch = fetch;
  }

  /**
   * The policy that holds for a domain's mail now. What cannot be had binds nobody, unless an earlier policy still holds: that one
   * does whatever a name server or web server says meanwhile, short of a new policy (§5.1).
   * @param now unix milliseconds
   */
  async policyOf(domain: string, now: number): Promise<StsPolicy | null> {
    const known = this.#known.get(domain);
    const held = known?.held && known.held.until > now ? known.held : null;
    const id = await this.#idOf(domain);
    const resting = known?.failed && known.failed.until > now ? known.failed.id : null;
    // Without a record that can be read, and with one that is known, nothing is new.
    if (id === null || id === held?.id || id === resting) return held?.policy ?? null;
    try {
      const policy = parseStsPolicy(await this.#fetch(domain));
      if (!policy.ok) throw new Error(policy.error);
      this.#remember(domain, { held: { id, policy: policy.value, until: now + policy.value.maxAge * 1000 } });
      return policy.value;
    } catch (error) {
      console.error(`the MTA-STS policy of ${domain} could not be had: ${(error as Error).message}`);
      this.#remember(domain, { held, failed: { id, until: now + STS_AGAIN } });
      return held?.policy ?? null;
    }
  }

  async #idOf(domain: string): Promise<string | null> {
    try {
      const records = await this.#texts(`_mta-sts.${domain}`);
      return stsIdOf(records.map((parts) => parts.join("")));
    } catch (error) {
      if (!isAbsent(error)) console.error(`no name server told of an MTA-STS policy of ${domain}: ${String(error)}`);
      return null;
    }
  }

  #remember(domain: string, known: Known): void {
    this.#known.delete(domain);
    this.#known.set(domain, known);
    const oldest = this.#known.keys().next();
    if (this.#known.size > MAX_STS_POLICIES && !oldest.done) this.#known.delete(oldest.value);
  }
}

export interface PolicyServer {
  readonly lookup: LookupFunction;
  /** 443. */
  readonly port?: number;
  /** PEM, in place of the authorities that Node.js knows. */
  readonly ca?: string;
}

/** §3.3: HTTPS with a certificate for `mta-sts.` and the domain, status 200, no redirect, text/plain. */
export function policyByHttps({ lookup, port = 443, ca }: PolicyServer): FetchPolicy {
  return (domain) =>
    new Promise((resolve, reject) => {
      const asked = request({
        host: `mta-sts.${domain}`,
        port,
        path: "/.well-known/mta-sts.txt",
        lookup,
        agent: false,
        minVersion: "TLSv1.2",
        headers: { accept: "text/plain" },
        signal: AbortSignal.timeout(STS_FETCH_TIMEOUT),
        ...(ca === undefined ? {} : { ca }),
      });
      asked.once("error", reject);
      asked.once("response", (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        const fail = (why: string) => asked.destroy(new Error(why));
        if (response.statusCode !== 200) return fail(`status ${response.statusCode}`);
        if (!/^text\/plain\s*(;|$)/i.test(response.headers["content-type"] ?? "")) return fail("it is no text/plain");
        response.on("data", (part: Buffer) => {
          parts.push(part);
          size += part.length;
          if (size > MAX_STS_POLICY_BYTES) fail(`more than ${MAX_STS_POLICY_BYTES} octets`);
        });
        response.once("error", reject);
        response.once("end", () => resolve(Buffer.concat(parts).toString("utf8")));
      });
      asked.end();
    });
}
