/**
 * What the Worker and a gateway say on the WebSocket of one connection to an origin (decision 007). The SMTP client is the
 * Worker's; the gateway connects, does TLS, and carries octets.
 *
 *   Worker:  connect … (-> connected | failed), octets …, starttls (-> secured | failed), octets …, and closes
 *   gateway: octets …, alive … ; at the end of what the origin sends `end`, or `failed`
 *
 * Text frames are JSON; binary frames are octets, TUNNEL_FRAME_BYTES at most. `ack` says how many octets the other side has
 * passed on since its last `ack`: there are never more than TUNNEL_WINDOW under way. `alive` comes every TUNNEL_ALIVE
 * milliseconds, so that a gateway that hangs is told from an origin that thinks. Each side checks what the other says.
 */
import { z } from "zod";
import { TUNNEL_WINDOW } from "../../limits.ts";
import type { Result } from "../../result.ts";
import { readFrame } from "./frames.ts";

const ack = z.strictObject({ op: z.literal("ack"), octets: z.int().min(1).max(TUNNEL_WINDOW) });

const connectFrame = z.strictObject({
  op: z.literal("connect"),
  /** A name, or an IP address without brackets. */
  host: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[A-Za-z0-9._:-]+$/),
  port: z.int().min(1).max(65_535),
  /** Milliseconds. */
  limit: z.number().min(0).max(600_000),
  /** The host itself is a loopback or private one: only an operator could name it. */
  private: z.boolean(),
  /**
   * The host takes a stranger's mail (decision 019): its certificate is looked at only where `verify` says so. Absent: an origin,
   * whose certificate always is.
   */
  mx: z.strictObject({ verify: z.boolean() }).optional(),
});
const workerFrame = z.discriminatedUnion("op", [
  connectFrame,
  /** TLS with the host's name, its certificate verified (but see `mx`). What the origin says from here on is under TLS. */
  z.strictObject({ op: z.literal("starttls") }),
  ack,
]);

const failedFrame = z.strictObject({
  op: z.literal("failed"),
  /** `path`: the gateway's own network or name server. */
  where: z.enum(["origin", "path"]),
  /** `busy`: the gateway has as many connections to that host as it allows itself. */
  reason: z.enum(["no_connection", "timeout", "tls", "dropped", "busy"]),
  /** For the log and the administrator. */
  detail: z.string().max(500),
});
const gatewayFrame = z.discriminatedUnion("op", [
  /** `name`: to a host with `mx`, what the gateway calls itself, as its address is the one that the host sees. */
  z.strictObject({ op: z.literal("connected"), name: z.string().max(255).optional() }),
  z.strictObject({ op: z.literal("secured") }),
  failedFrame,
  z.strictObject({ op: z.literal("end") }),
  z.strictObject({ op: z.literal("alive") }),
  ack,
]);

export type ConnectFrame = z.infer<typeof connectFrame>;
export type FailedFrame = z.infer<typeof failedFrame>;
/** From the Worker. */
export type TunnelRequest = z.infer<typeof workerFrame>;
/** From the gateway. */
export type TunnelReport = z.infer<typeof gatewayFrame>;

export const readTunnelRequest = (text: string): Result<TunnelRequest, string> => readFrame(workerFrame, text);
export const readTunnelReport = (text: string): Result<TunnelReport, string> => readFrame(gatewayFrame, text);
export const writeTunnelFrame = (frame: TunnelRequest | TunnelReport): string => JSON.stringify(frame);

/** The path of a gateway's relay, and of its health. */
export const RELAY_PATH = "/relay";
export const RELAY_HEALTH_PATH = "/health";
