/**
 * Postfix's smtp-sink as the server of those who are written to, failing in each phase of a transaction in each way: as the smart host,
 * and as a domain's MX host. What it comes to, for each recipient; and that what waits arrives once, as soon as the server is well.
 * Servers that say nothing take the service's own time limits, minutes: test/worker/faults/origin.test.ts has them for the same SMTP
 * client.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Service } from "../../src/local/demo/service.ts";
import { type NameServer, startNameServer } from "../../src/local/kill/name-server.ts";
import { SmtpSink } from "../support/smtp-sink.ts";

const PHASES = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"] as const;
type Phase = (typeof PHASES)[number];
const TRANSPORTS = ["smarthost", "gateway"] as const;
type Transport = (typeof TRANSPORTS)[number];
/** As smtp-sink(1) has them. */
const FAULTS = {
  "answers 5xx": (phase: Phase) => ["-f", phase],
  "answers 4xx": (phase: Phase) => ["-r", phase],
  "answers 421 and hangs up": (phase: Phase) => ["-Q", phase],
  "hangs up": (phase: Phase) => ["-q", phase],
  // Without PIPELINING: while it waits, smtp-sink answers what comes after, out of order.
  "takes a second": (phase: Phase) => ["-p", "-W", `${phase}:1`],
};
type Fault = keyof typeof FAULTS;

const WAIT = { timeout: 30_000, interval: 100 };
/** What smtp-sink says: it has but these words. */
const REFUSED = "500 5.3.0 Error: command failed";
const WAITS: Partial<Record<Fault, RegExp>> = {
  "answers 4xx": /^450 4\.3\.0 Error: command failed$/,
  "answers 421 and hangs up": /^421 /,
};

/** A server that does not know EHLO is greeted with HELO (RFC 5321 §3.2), and after the reply to the final dot all is said. */
function expected(phase: Phase, fault: Fault): "delivered" | "refused" | "waiting" {
  if (fault === "takes a second" || phase === "QUIT") return "delivered";
  if (fault !== "answers 5xx") return "waiting";
  if (phase === "EHLO") return "delivered";
  return phase === "CONNECT" ? "waiting" : "refused";
}

/** A server of each transport for each fault; it fails in one phase after the other. */
interface Place {
  readonly fault: Fault;
  readonly host: string;
  /** The domain that sends: a domain has one smart host, but writes to any MX host. */
  readonly from: string;
  readonly to: string;
}

const places = (transport: Transport): Place[] =>
  (Object.keys(FAULTS) as Fault[]).map((fault, number) => ({
    fault,
    host: `127.0.${TRANSPORTS.indexOf(transport) + 1}.${number + 1}`,
    from: transport === "gateway" ? "street.example.org" : `house-${number}.example.org`,
    to: `place-${number}.example`,
  }));

const state = mkdtempSync(join(tmpdir(), "holdfast-sinks-"));
const started: SmtpSink[] = [];
const tokens = new Map<string, string>();
let names: NameServer;
let service: Service;
let port = 0;

beforeAll(async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  port = (probe.address() as AddressInfo).port;
  probe.close();
  await once(probe, "close");
  names = await startNameServer(Object.fromEntries(places("gateway").map(({ to, host }) => [to, { a: [host] }])));
  service = await Service.start(state, "operator-token-of-the-tests", {
    settings: {
      HOLDFAST_NAME_SERVERS: names.address,
      HOLDFAST_RELAY_PRIVATE_NAMES: "allow",
      HOLDFAST_MX_HOST_PORT: String(port),
    },
  });
  await setUp("street.example.org", { transport: "gateway" });
  for (const { from, host } of places("smarthost"))
    await setUp(from, { transport: "smarthost", host, port, tls: "none" });
}, 200_000);

afterAll(async () => {
  await service?.stop();
  await stopAll(started);
  names?.close();
  rmSync(state, { recursive: true, force: true });
});

/** In emergency mode, so that reports lie in the portal. */
async function setUp(domain: string, outgoing: object): Promise<void> {
  const origin = { transport: "smtp", host: "127.0.0.1", port, tls: "none" };
  await service.call("PUT", `/api/domains/${domain}`, { continuity: true, origin, outgoing });
  await service.call("PUT", `/api/domains/${domain}/mode`, { mode: "emergency" });
  const login = { email: `ann@${domain}`, password: "correct horse battery staple" };
  await service.call("PUT", `/api/domains/${domain}/mailboxes/${login.email}`, { password: login.password });
  tokens.set(domain, (await service.call<{ token: string }>("POST", "/api/session", login)).token);
}

interface Delivery {
  readonly recipient: string;
  readonly state: string;
  readonly reply: string | null;
  readonly next: string | null;
}

/** One message of ann's to two recipients at a place, whose server is there as it is now. */
class Sent {
  readonly place: Place;
  readonly recipients: readonly string[];
  readonly #id: string;

  private constructor(place: Place, recipients: readonly string[], id: string) {
    this.place = place;
    this.recipients = recipients;
    this.#id = id;
  }

  static async send(place: Place, phase: Phase): Promise<Sent> {
    const to = ["one", "two"].map((name) => `${name}-${PHASES.indexOf(phase)}@${place.to}`);
    const message = { to, subject: "Storm" };
    const { id } = await service.call<{ id: string }>("POST", "/api/mail/messages", message, tokens.get(place.from));
    return new Sent(place, to, id);
  }

  async deliveries(): Promise<readonly Delivery[]> {
    const path = `/api/mail/messages/${this.#id}/delivery`;
    return (await service.call<{ items: Delivery[] }>("GET", path, undefined, tokens.get(this.place.from))).items;
  }

  /** How often each recipient in the queue was tried. */
  async attempts(): Promise<readonly number[]> {
    const path = `/api/domains/${this.place.from}/outgoing?limit=100`;
    const { items } = await service.call<{ items: { recipient: string; attempts: number }[] }>("GET", path);
    return items.filter(({ recipient }) => this.recipients.includes(recipient)).map(({ attempts }) => attempts);
  }

  /** For each report in ann's inbox that is about it, whom it names. */
  async reports(): Promise<string[][]> {
    const token = tokens.get(this.place.from);
    const path = "/api/mail/messages?folder=inbox&limit=100";
    const { items } = await service.call<{ items: { id: string }[] }>("GET", path, undefined, token);
    const found: string[][] = [];
    for (const { id } of items) {
      const raw = await service.fetch("GET", `/api/mail/messages/${id}/raw`, undefined, token);
      const text = await raw.text();
      const named = [...text.matchAll(/^Final-Recipient: rfc822; (\S+)\r$/gm)].map(([, to = ""]) => to);
      if (!named.some((to) => this.recipients.includes(to))) continue;
      expect(text).toContain(`Diagnostic-Code: smtp; ${REFUSED}\r\n`);
      found.push(named);
    }
    return found;
  }
}

const startAll = (all: readonly Place[], options: (place: Place) => readonly string[]) =>
  Promise.all(
    all.map(async (place) => {
      const sink = await SmtpSink.start(place.host, port, options(place));
      started.push(sink);
      return sink;
    }),
  );

const stopAll = (sinks: readonly SmtpSink[]) => Promise.all(sinks.map((sink) => sink.stop()));

describe.each(TRANSPORTS)("by %s", (transport) => {
  const all = places(transport);

  it.each(PHASES)(
    "what a server fails to take at %s is refused or waits, and what waits arrives once when it is well",
    async (phase) => {
      const faulty = await startAll(all, ({ fault }) => FAULTS[fault](phase));
      const sent = await Promise.all(all.map((place) => Sent.send(place, phase)));
      await Promise.all(sent.map((one, number) => comesToWhatItHasTo(one, phase, faulty[number])));
      await stopAll(faulty);
      const well = await startAll(all, () => []);
      for (const domain of new Set(all.map(({ from }) => from)))
        await service.call("POST", `/api/domains/${domain}/outgoing/retry`);
      await Promise.all(sent.map((one, number) => arrives(one, phase, well[number])));
      await stopAll(well);
    },
    120_000,
  );
});

/** While its server fails. */
async function comesToWhatItHasTo(one: Sent, phase: Phase, sink: SmtpSink | undefined): Promise<void> {
  const { fault } = one.place;
  const at = `${fault} at ${phase}`;
  const wanted = expected(phase, fault);
  const tried = async () => {
    const states = (await one.deliveries()).map((each) => each.state);
    expect(states, at).toEqual([wanted, wanted]);
    // What was refused is in the queue until its writer was told.
    const attempts = await one.attempts();
    expect(attempts, at).toHaveLength(wanted === "waiting" ? 2 : 0);
    expect(attempts.every((times) => times > 0)).toBe(true);
  };
  await vi.waitFor(tried, WAIT);
  for (const { reply, next } of await one.deliveries()) {
    if (wanted === "delivered") expect(reply, at).toMatch(/^250 /);
    else if (wanted === "refused") expect(reply, at).toBe(REFUSED);
    else if (WAITS[fault]) expect(reply, at).toMatch(WAITS[fault]);
    if (wanted === "waiting") expect(Date.parse(next ?? ""), at).toBeGreaterThan(Date.now());
    else expect(next, at).toBeNull();
  }
  if (wanted === "delivered") expect(sink?.recipients().sort(), at).toEqual(one.recipients);
}

/** Now that its server is well: once if it waited, else not again. */
async function arrives(one: Sent, phase: Phase, sink: SmtpSink | undefined): Promise<void> {
  const at = `${one.place.fault} at ${phase}`;
  const wanted = expected(phase, one.place.fault);
  await vi.waitFor(async () => expect(await one.attempts(), at).toEqual([]), WAIT);
  expect(sink?.recipients().sort(), at).toEqual(wanted === "waiting" ? one.recipients : []);
  const now = wanted === "waiting" ? "delivered" : wanted;
  expect(
    (await one.deliveries()).map((each) => each.state),
    at,
  ).toEqual([now, now]);
  expect(await one.reports(), at).toEqual(wanted === "refused" ? [one.recipients] : []);
}
