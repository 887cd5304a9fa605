/** The bindings of wrangler.toml, and the secrets beside them. */
import type { OriginKeeper } from "./deliver/keeper.ts";
import type { DomainObject } from "./domain/object.ts";
import type { CarrierObject } from "./failback/carrier.ts";
import type { OutboundObject } from "./send/object.ts";

export interface Env {
  readonly DIRECTORY: D1Database;
  readonly SHARD_0: D1Database;
  // SHARD_1 and further ones, as many as are bound: store/shard.ts finds them.
  readonly MAIL: R2Bucket;
  readonly DOMAIN: DurableObjectNamespace<DomainObject>;
  readonly KEEPER: DurableObjectNamespace<OriginKeeper>;
  readonly CARRIER: DurableObjectNamespace<CarrierObject>;
  readonly OUTBOUND: DurableObjectNamespace<OutboundObject>;
  readonly SEND_EMAIL: SendEmail;
  readonly ASSETS: Fetcher;
  /** Our name in Received and in the SMTP greeting. */
  readonly HOSTNAME: string;
  readonly OPERATOR_EMAIL: string;
  /** A scrypt string (identity/password.ts). */
  readonly OPERATOR_PASSWORD_HASH?: string;
  /** A bearer token with the operator's rights, for scripts. */
  readonly OPERATOR_TOKEN?: string;
  /** `id:base64 of 32 bytes`, newest first, separated by commas. */
  readonly MASTER_KEYS: string;
  /** `id:secret`, separated by commas: the gateways' keys. The first signs, all verify. */
  readonly GATEWAY_SECRETS: string;
  /** Base addresses of the gateways' relay ports, such as `https://gw1.example.org`, separated by commas. */
  readonly GATEWAYS?: string;
  /** Seconds between probes of a healthy origin. */
  readonly PROBE_SECONDS: string;
}
