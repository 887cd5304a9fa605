/** From a fresh connection to a session: greeting, EHLO, STARTTLS, AUTH. Each that fails is `unavailable` (design, rule 6). */
import type { Phase, Reply, Unavailable } from "../../outcome.ts";
import { err, ok, type Result } from "../../result.ts";
import { authenticate, type Credentials } from "./auth.ts";
import { Channel, type Failure, unavailable } from "./channel.ts";
import type { OpenedSession } from "./conversation.ts";
import { parseExtensions } from "./ehlo.ts";
import { PHASE_LIMITS, type PhaseLimits } from "./phase-limits.ts";
import { outcomeOf } from "./reply.ts";
import { SmtpSession } from "./session.ts";
import type { Timing, Wire } from "./wire.ts";

export interface OpenOptions {
  /** Our name in EHLO: a domain name, or an address literal in brackets (RFC 5321 §4.1.3). */
  readonly helo: string;
  /**
   * `implicit`: TLS before the greeting (RFC 8314 §3.3). `starttls`: never without (RFC 3207 §6). `opportunistic`: where the server
   * offers it and takes the command (RFC 7435); a handshake that fails ends the connection, and the caller may try without.
   */
  readonly tls: "implicit" | "starttls" | "opportunistic" | "none";
  readonly credentials?: Credentials;
  readonly timing: Timing;
  readonly limits?: PhaseLimits;
  /** On the clock of `timing`: the end of all waits but that for the reply to a final dot. */
  readonly deadline?: number;
}

/** @param wire connected, in clear text; closed again where the answer is `unavailable`. Never rejects. */
export async function openSession(wire: Wire, options: OpenOptions): Promise<OpenedSession> {
  const channel = new Channel(wire, options.timing, options.deadline);
  const limits = options.limits ?? PHASE_LIMITS;
  if (options.tls === "implicit") {
    const failure = await channel.startTls(limits.command);
    if (failure) return unavailable("connect", failure);
  }
  const greeting = settle(channel, "greeting", await channel.reply(limits.greeting));
  if (!greeting.ok) return greeting.error;

  let extensions = await hello(channel, options, limits);
  if (!extensions.ok) return extensions.error;
  let secure = options.tls === "implicit";
  const offered = options.tls === "opportunistic" && extensions.value.has("STARTTLS");
  if (options.tls === "starttls" || offered) {
    const failed = await upgrade(channel, options, extensions.value, limits);
    if (failed && !(offered && channel.usable)) return failed;
    secure = failed === null;
    // RFC 3207 §4.2: what was announced in clear text is forgotten.
    extensions = await hello(channel, options, limits);
    if (!extensions.ok) return extensions.error;
  }
  if (options.credentials) {
    const failed = await authenticate(channel, options.credentials, extensions.value.get("AUTH"), limits.command);
    if (failed) return failed;
  }
  const session = new SmtpSession(channel, extensions.value, limits);
  return { session, greeting: { kind: "delivered", reply: greeting.value }, secure };
}

async function hello(
  channel: Channel,
  options: OpenOptions,
  limits: PhaseLimits,
): Promise<Result<ReadonlyMap<string, string>, Unavailable>> {
  const ehlo = await channel.ask(`EHLO ${options.helo}`, limits.command);
  // RFC 5321 §3.2: a server that does not know EHLO is greeted with HELO; it can have neither TLS nor AUTH.
  const old = ehlo.ok && (ehlo.value.code === 500 || ehlo.value.code === 502);
  if (old && options.tls !== "starttls" && !options.credentials) {
    const helo = settle(channel, "ehlo", await channel.ask(`HELO ${options.helo}`, limits.command));
    return helo.ok ? ok(new Map()) : helo;
  }
  const reply = settle(channel, "ehlo", ehlo);
  return reply.ok ? ok(parseExtensions(reply.value)) : reply;
}

async function upgrade(
  channel: Channel,
  { tls }: Pick<OpenOptions, "tls">,
  extensions: ReadonlyMap<string, string>,
  limits: PhaseLimits,
): Promise<Unavailable | null> {
  if (!extensions.has("STARTTLS")) {
    channel.fail({ reason: "protocol", detail: "no STARTTLS" });
    const detail = "the server has no STARTTLS";
    return { kind: "unavailable", where: "origin", phase: "starttls", reason: "unsupported", detail };
  }
  const began = channel.now();
  const answer = await channel.ask("STARTTLS", limits.command);
  // RFC 3207 §4: it may have none just now; whether to go on without is for whoever asked for it.
  if (tls === "opportunistic" && answer.ok && answer.value.code >= 400 && channel.usable) {
    return { kind: "unavailable", where: "origin", phase: "starttls", reason: "reply", reply: answer.value };
  }
  const ready = settle(channel, "starttls", answer);
  if (!ready.ok) return ready.error;
  const failure = await channel.startTls(limits.command - (channel.now() - began));
  return failure ? unavailable("starttls", failure) : null;
}

/** 2xx goes on; all else ends the connection. */
function settle(channel: Channel, phase: Phase, reply: Result<Reply, Failure>): Result<Reply, Unavailable> {
  if (!reply.ok) return err(unavailable(phase, reply.error));
  const outcome = outcomeOf(phase, reply.value);
  if (outcome.kind === "delivered") return ok(reply.value);
  channel.fail({ reason: "protocol", detail: `${phase} failed` });
  return err(outcome.kind === "unavailable" ? outcome : unavailable(phase, { reason: "protocol" }));
}
