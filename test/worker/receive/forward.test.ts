/** Mail that Email Routing forwards: every row of the table, what it does not forward, and mail that comes back. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { RECEIVE_BUDGET } from "../../../src/core/limits.ts";
import { FORWARD_MARK } from "../../../src/core/mime/trace.ts";
import { asOperator } from "../access/client.ts";
import {
  allIsWell,
  at,
  createForwarding,
  Destination,
  DOMAIN,
  INSIDE,
  large,
  mode,
  organisation,
  outcomeOf,
  refusing,
  UNVERIFIED,
  unreachable,
} from "./forwarding.ts";
import {
  belowOurs,
  createOrganisation,
  kept,
  letter,
  must,
  octetsIn,
  send,
  sendByEmailRouting,
} from "./organisation.ts";

const view = async () => (await must("GET", `/api/domains/${DOMAIN}`)) as { mode: string; doubt: boolean };

vi.setConfig({ testTimeout: 30_000 });
beforeAll(createForwarding);
beforeEach(allIsWell);

/** A person's choice brings the backlog to the origin at once. */
async function giveBack(): Promise<void> {
  await mode("emergency");
  await mode("normal");
}

/** Whether one of the messages that the origin has taken has these octets, below our two fields. */
async function whatOriginHas(octets: Uint8Array): Promise<boolean> {
  const same = (raw: Uint8Array) => raw.length === octets.length && raw.every((octet, at) => octet === octets[at]);
  return (await organisation.origin.messages()).some(({ accepted, raw }) => accepted && same(belowOurs(raw)));
}

/** Runs of the domain's object begin in the background. */
const PATIENCE = { timeout: 20_000, interval: 200 };

describe("in normal mode, what forward() takes is delivered", () => {
  it("covered: accepted, archived as received, forwarded under its local part, and the origin's SMTP server is not asked", async () => {
    const { connections } = await organisation.origin.report();
    const { answer, forwarded, news, octets, origin } = await outcomeOf(at("Info+News"));
    expect(answer.kind).toBe("accepted");
    expect(forwarded).toEqual([`Info+News@${INSIDE}`]);
    expect(origin).toEqual([]);
    expect((await organisation.origin.report()).connections).toBe(connections);
    expect(news).toMatchObject([{ mailbox: "ann", inInbox: false, waiting: null }]);
    expect(await octetsIn(news[0]?.key ?? "")).toEqual(octets);
  });

  it.each(["dan", "stranger"])("not covered or unknown (%s): accepted, not archived", async (local) => {
    const { answer, forwarded, news, objects } = await outcomeOf(at(local));
    expect(answer.kind).toBe("accepted");
    expect(forwarded).toEqual([`${local}@${INSIDE}`]);
    expect(news).toEqual([]);
    expect(objects).toBe(0);
  });

  it("a message larger than what is buffered is forwarded when all of it has been read, and archived as received", async () => {
    const octets = large();
    let read = 0;
    const raw = new Response(octets).body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          read += chunk.length;
          controller.enqueue(chunk);
        },
      }),
    );
    let readBefore = 0;
    const { forward } = new Destination(async () => {
      readBefore = read;
    });
    const answer = await sendByEmailRouting(at("ann"), octets, "a@example.net", { forward, ...(raw && { raw }) });
    expect([answer.kind, readBefore]).toEqual(["accepted", octets.length]);
    const last = (await kept(DOMAIN)).at(-1);
    expect(last).toMatchObject({ mailbox: "ann", inInbox: false });
    expect(await octetsIn(last?.key ?? "")).toEqual(octets);
  });

  it("a repeat is answered, and not forwarded again", async () => {
    const octets = letter();
    await outcomeOf(at("ann"), new Destination(), octets);
    const { answer, forwarded, news } = await outcomeOf(at("ann"), new Destination(), octets);
    expect([answer.kind, forwarded, news]).toEqual(["accepted", [], []]);
  });

  it("what comes by a gateway's MX port has no forward(): it goes over SMTP", async () => {
    const octets = letter();
    const before = (await organisation.origin.messages()).length;
    expect((await send([at("ann"), at("bob")], octets)).final?.code).toBe(250);
    const [taken] = (await organisation.origin.messages()).slice(before);
    expect(belowOurs(taken?.raw ?? new Uint8Array())).toEqual(octets);
  });
});

describe("what forward() does not take, the origin is asked to take over SMTP while the sender waits", () => {
  it.each([
    UNVERIFIED,
    "could not send email: Unknown error: permanent error (550): 5.1.1 No such user",
    "could not initialize upstream: Unknown error: permanent error (550): 5.7.1 Messages from [192.0.2.1] weren't sent",
    "Unknown error: transient error (451): 4.7.650 rate limited",
  ])("forward() fails (%s), the origin says 250: accepted, archived, at the origin, octet for octet", async (why) => {
    const { answer, news, origin, octets } = await outcomeOf(at("ann"), refusing(why));
    expect(answer.kind).toBe("accepted");
    expect(origin).toHaveLength(1);
    expect(belowOurs(origin[0]?.raw ?? new Uint8Array())).toEqual(octets);
    expect(news).toMatchObject([{ mailbox: "ann", inInbox: false, waiting: null }]);
  });

  it.each(["ann", "dan", "stranger"])(
    "forward() fails, the origin says 5xx (%s): the sender hears the origin's own text, nothing is kept",
    async (local) => {
      await organisation.origin.set({ steps: { rcpt: "550 5.1.1 Never heard of" } });
      const { answer, news, objects } = await outcomeOf(at(local), refusing(UNVERIFIED));
      expect(answer).toEqual({ kind: "rejected", text: "550 5.1.1 Never heard of" });
      expect([news, objects]).toEqual([[], 0]);
    },
  );

  it("forward() fails, the origin is out of reach, covered: accepted, archived, in the portal inbox and the backlog", async () => {
    await unreachable();
    const { answer, news, octets } = await outcomeOf(at("ann"), refusing(UNVERIFIED));
    expect(answer.kind).toBe("accepted");
    expect(news).toMatchObject([{ mailbox: "ann", inInbox: true }]);
    expect(news[0]?.waiting).toBeGreaterThan(0);
    expect(await octetsIn(news[0]?.key ?? "")).toEqual(octets);
  });

  it.each(["dan", "stranger"])(
    "forward() fails, the origin is out of reach, not covered or unknown (%s): a temporary failure, nothing is kept",
    async (local) => {
      await unreachable();
      const { answer, news, objects } = await outcomeOf(at(local), refusing(UNVERIFIED));
      expect(answer.kind).toBe("temporary");
      expect([news, objects]).toEqual([[], 0]);
    },
  );

  it.each([
    ["ann", "accepted", 1],
    ["dan", "temporary", 0],
  ])("forward() never answers (%s): %s, and the origin is not asked beside it", async (local, kind, inPortal) => {
    const real = setTimeout;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const silent = new Destination(async () => {
      // By then the octets are stored.
      real(() => vi.advanceTimersByTime(RECEIVE_BUDGET), 1_000);
      return new Promise(() => undefined);
    });
    const { answer, news, origin } = await outcomeOf(at(local), silent);
    expect([answer.kind, news.filter((row) => row.inInbox).length, origin]).toEqual([kind, inPortal, []]);
  });

  it.each(["ann", "dan"])(
    "what the platform says cannot be forwarded is not tried (%s): it goes over SMTP",
    async (to) => {
      const { answer, forwarded, origin } = await outcomeOf(at(to), new Destination(), letter(), false);
      expect([answer.kind, forwarded, origin.length]).toEqual(["accepted", [], 1]);
    },
  );

  it("a large message for a covered mailbox is not held: it goes to the portal, and over SMTP from there", async () => {
    const octets = large();
    const { answer, news, origin } = await outcomeOf(at("ann"), refusing(UNVERIFIED), octets);
    expect(answer.kind).toBe("accepted");
    expect(origin).toEqual([]);
    expect(news).toMatchObject([{ mailbox: "ann", inInbox: true }]);
    await giveBack();
    await expect.poll(() => whatOriginHas(octets), PATIENCE).toBe(true);
  });

  it("a large message for who is not covered goes over SMTP at once: no portal stands behind it", async () => {
    const { answer, forwarded, origin } = await outcomeOf(at("dan"), new Destination(), large());
    expect([answer.kind, forwarded, origin.length]).toEqual(["accepted", [], 1]);
  });

  it("the log tells of it once for each destination, however much mail comes", async () => {
    for (let count = 0; count < 3; count += 1) await outcomeOf(at("bob+told"), refusing(UNVERIFIED));
    const { items } = (await must("GET", `/api/domains/${DOMAIN}/events`)) as {
      items: { kind: string; data: unknown }[];
    };
    const told = items.filter(
      ({ kind, data }) => kind === "forward_failed" && JSON.stringify(data).includes("bob+told"),
    );
    const to = `bob+told@${INSIDE}`;
    expect(told).toMatchObject([{ data: { to, error: `forward() to ${to}: ${UNVERIFIED}` } }]);
  });
});

describe("in emergency mode nothing is forwarded", () => {
  beforeEach(() => mode("emergency"));

  it.each([
    ["ann", "accepted", true],
    ["dan", "temporary", false],
    ["stranger", "rejected", false],
  ])("%s: %s", async (local, kind, inPortal) => {
    const { answer, forwarded, news } = await outcomeOf(at(local));
    expect([answer.kind, forwarded]).toEqual([kind, []]);
    expect(news.map((row) => row.inInbox)).toEqual(inPortal ? [true] : []);
  });

  it("and what was kept is given back over SMTP, octet for octet", async () => {
    const { octets } = await outcomeOf(at("ann"));
    await giveBack();
    await expect.poll(() => whatOriginHas(octets), PATIENCE).toBe(true);
  });
});

describe("a forwarded message that comes back does not circle", () => {
  it.each(["Email Routing", "a gateway's MX port"])("by %s: it is refused as a loop, and goes nowhere", async (way) => {
    const destination = new Destination();
    const { octets } = await outcomeOf(at("bob"), destination);
    const marks = [...(destination.forwarded[0]?.headers ?? [])].map(([name, value]) => `${name}: ${value}\r\n`);
    expect(marks).toHaveLength(1);
    const back = new Uint8Array(
      await new Blob(["Received: from a.example by b.example; x\r\n", ...marks, octets]).arrayBuffer(),
    );
    const loop = "554 5.4.6 Mail loop: this message has been here before";
    if (way === "Email Routing") {
      const { answer, forwarded, news } = await outcomeOf(at("bob"), new Destination(), back);
      expect([answer, forwarded, news]).toEqual([{ kind: "rejected", text: loop }, [], []]);
    } else {
      expect((await send([at("bob")], back)).final).toMatchObject({ code: 554, enhanced: "5.4.6" });
    }
    // To somebody else it was not forwarded before: people pass mail on to each other.
    expect((await outcomeOf(at("ann"), new Destination(), back)).answer.kind).toBe("accepted");
  });

  it("whatever the destination's server makes of the field's case", async () => {
    const octets = letter({ [FORWARD_MARK.toUpperCase()]: "BY MX.HOLDFAST.TEST FOR <ANN@FORWARD.EXAMPLE>" });
    expect((await outcomeOf(at("ann"), new Destination(), octets)).answer.kind).toBe("rejected");
  });
});

describe("the mode", () => {
  it("is not moved by what forward() says: it says nothing about the origin's SMTP server", async () => {
    await must("PUT", `/api/domains/${DOMAIN}`, { switching: "automatic" });
    onTestFinished(async () => void (await must("PUT", `/api/domains/${DOMAIN}`, { switching: "manual" })));
    await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "auto" });
    for (const local of ["a", "b", "c", "d"]) await outcomeOf(at(`ann+${local}`), refusing("could not send email"));
    expect(await view()).toMatchObject({ mode: "normal", doubt: false });
  });

  it("is in doubt over a failure of SMTP, whatever is forwarded in between", async () => {
    await unreachable();
    await outcomeOf(at("ann"), refusing(UNVERIFIED));
    await expect.poll(async () => (await view()).doubt, PATIENCE).toBe(true);
    expect((await outcomeOf(at("ann"))).answer.kind).toBe("accepted");
    expect((await view()).doubt).toBe(true);
  });
});

it("the way beside forwarding may lead through a gateway", async () => {
  const domain = "through.example";
  const route = { transport: "forward", via: "gateway", forwardDomain: "inside.through.example" } as const;
  const { origin } = await createOrganisation(domain, route);
  const octets = letter();
  const answer = await sendByEmailRouting(`dan@${domain}`, octets, "", refusing(UNVERIFIED));
  expect(answer.kind).toBe("accepted");
  expect((await origin.messages()).map(({ raw }) => belowOurs(raw))).toEqual([octets]);
});

it("a route from before there was a way beside forwarding goes over SMTP", async () => {
  const domain = "older.example";
  const { origin } = await createOrganisation(domain);
  const route = JSON.stringify({ transport: "forward", host: "127.0.0.1", port: origin.port, tls: "none" });
  await env.DIRECTORY.prepare("UPDATE domain SET route = ?1, version = version + 1 WHERE name = ?2")
    .bind(route, domain)
    .run();
  await env.DOMAIN.getByName(domain).reload(domain);
  const destination = new Destination();
  const { kind } = await sendByEmailRouting(`dan@${domain}`, letter(), "", { forward: destination.forward });
  expect([kind, destination.forwarded, (await origin.messages()).length]).toEqual(["accepted", [], 1]);
  expect((await asOperator("GET", `/api/domains/${domain}`)).body.origin).toMatchObject({ transport: "forward" });
});
