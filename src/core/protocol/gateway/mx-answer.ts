/**
 * Which hosts take a domain's mail, as a gateway tells the Worker (decision 019): `GET /mx?domain=example.org`, signed, answered
 * with JSON. The gateway looks up names and policies, which a Worker cannot; the Worker then has it connect to a host and speaks
 * SMTP itself (tunnel.ts).
 */
import { z } from "zod";
import { MAX_MX_HOSTS } from "../../send/limits.ts";

export const MX_PATH = "/mx";

const host = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[a-z0-9._-]+$/);

const mxAnswer = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("hosts"),
    /** In the order in which they are to be tried. */
    hosts: z.array(host).min(1).max(MAX_MX_HOSTS),
    /** 25, unless the gateway's operator has another. */
    port: z.int().min(1).max(65_535),
    /** `verified`: TLS with a good certificate, or no delivery (RFC 8461); `opportunistic`: TLS where it can be had (RFC 7435). */
    tls: z.enum(["verified", "opportunistic"]),
    /** What the gateway calls itself on its MX port: a host that greets with this name is ourselves. */
    self: host,
  }),
  /** The domain takes no mail, for good: the words are for the sender (RFC 7505 §5, RFC 3463). */
  z.strictObject({
    kind: z.literal("refused"),
    code: z.int().min(500).max(599),
    enhanced: z.string().regex(/^5\.\d{1,3}\.\d{1,3}$/),
    text: z.string().max(500),
  }),
  /** Not known now. `origin`: the domain's own doing, such as a policy that no host meets; `path`: a name server of ours. */
  z.strictObject({
    kind: z.literal("unavailable"),
    where: z.enum(["origin", "path"]),
    detail: z.string().max(500),
  }),
]);

export type MxAnswer = z.infer<typeof mxAnswer>;

/** @returns null where it is no such answer */
export function readMxAnswer(json: unknown): MxAnswer | null {
  const read = mxAnswer.safeParse(json);
  return read.success ? read.data : null;
}
