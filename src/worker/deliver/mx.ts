/**
 * Straight to a stranger's mail server, through a gateway (decision 019): the gateway names the hosts that take a domain's mail and
 * connects, the SMTP client is ours.
 */

import type { Refused, Unavailable } from "../../core/outcome.ts";
import { MX_PATH, type MxAnswer, readMxAnswer } from "../../core/protocol/gateway/mx-answer.ts";
import { isOpen, type OpenSession } from "../../core/protocol/smtp/conversation.ts";
import { openSession } from "../../core/protocol/smtp/open.ts";
import { MX_ANSWER_TIMEOUT, MX_OPEN_TIME } from "../../core/send/limits.ts";
import { askGateway, connectByGateway, type RelaySettings, unavailableOf } from "./gateways.ts";
import { ORIGIN_LIMITS, type OriginOptions } from "./origin.ts";
import { timing } from "./socket.ts";

/** A session with a host that takes the domain's mail: for as many messages to its recipients as one likes. */
export interface MxSession extends OpenSession {
  readonly host: string;
  /** `verified`: its certificate was asked for by a policy; `unverified`: encrypted, to whomever; `none`: clear text. */
  readonly tls: "verified" | "unverified" | "none";
}

export type OpenedMx = MxSession | Refused | Unavailable;

type Hosts = Extract<MxAnswer, { kind: "hosts" }>;

/**
 * Looks the domain's hosts up and tries one after the other until one lets us in; one that greets with a failure leaves its turn to
 * the next (RFC 5321 §5.1). Never rejects.
 * @param domain of the recipients: A-labels or U-labels
 * @returns `refused` where the domain takes no mail at all: for good
 */
export async function openMx(domain: string, relay: RelaySettings, options: OriginOptions): Promise<OpenedMx> {
  const deadline = timing.now() + (options.budget ?? MX_OPEN_TIME);
  const asked = await askGateway(relay, `${MX_PATH}?domain=${encodeURIComponent(domain)}`, MX_ANSWER_TIMEOUT, deadline);
  if (!asked.ok) return unavailableOf(asked.error);
  const answer = readMxAnswer(asked.value);
  if (answer === null)
    return unavailableOf({ where: "path", reason: "no_connection", detail: "a gateway talks nonsense" });
  switch (answer.kind) {
    case "refused": {
      const { code, enhanced, text } = answer;
      return { kind: "refused", phase: "rcpt", reply: { code, enhanced, text } };
    }
    case "unavailable":
      return unavailableOf({ where: answer.where, reason: "no_connection", detail: answer.detail });
    case "hosts":
      return firstOf(answer, relay, options, deadline);
  }
}

async function firstOf(mx: Hosts, relay: RelaySettings, options: OriginOptions, deadline: number): Promise<OpenedMx> {
  const failures: Unavailable[] = [];
  for (const host of mx.hosts) {
    if (deadline <= timing.now()) break;
    const opened = await openHost(host, mx, relay, options, deadline);
    if ("session" in opened || opened.kind === "refused") return opened;
    failures.push({ ...opened, detail: [host, opened.detail].filter(Boolean).join(": ") });
  }
  // What a host said tells more than that another could not be reached, and that more than a failure of our own.
  return (
    failures.find(({ reply }) => reply) ??
    failures.find(({ where }) => where === "origin") ??
    failures[0] ??
    unavailableOf({ where: "path", reason: "timeout", detail: "no time is left" })
  );
}

async function openHost(
  host: string,
  { port, tls, self }: Hosts,
  relay: RelaySettings,
  { helo, limits = ORIGIN_LIMITS }: OriginOptions,
  deadline: number,
): Promise<OpenedMx> {
  const open = async (wanted: "starttls" | "opportunistic" | "none") => {
    const mx = { verify: tls === "verified" };
    const connected = await connectByGateway(relay, { host, port, limit: limits.connect, mx }, deadline);
    if (!connected.ok) return unavailableOf(connected.error);
    // RFC 5321 §4.1.4: the host looks whether the name is that of the address that it sees, which is the gateway's.
    const ehlo = connected.value.name ?? helo;
    return openSession(connected.value, { helo: ehlo, tls: wanted, timing, limits, deadline });
  };
  const first = await open(tls === "verified" ? "starttls" : "opportunistic");
  // RFC 7435 §3: a handshake that fails is no reason to keep the mail, where nobody asked for more than clear text.
  const again = tls === "opportunistic" && !isOpen(first) && first.phase === "starttls" && first.where === "origin";
  const opened = again ? await open("none") : first;
  if (!isOpen(opened)) return opened;
  const greeted = opened.greeting.reply.text.split(/\s/)[0]?.toLowerCase();
  if (greeted === self || greeted === helo.toLowerCase()) {
    opened.session.close();
    const text = `Mail loop: ${host} is this server itself`;
    return { kind: "refused", phase: "rcpt", reply: { code: 554, enhanced: "5.4.6", text } };
  }
  const secured = opened.secure ? (tls === "verified" ? "verified" : "unverified") : "none";
  return { ...opened, host, tls: secured };
}
