/** Every row of "What happens to a message". */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  belowOurs,
  createOrganisation,
  kept,
  letter,
  must,
  type Organisation,
  objectsInStore,
  octetsIn,
  send,
} from "./organisation.ts";

let organisation: Organisation;
const at = (local: string) => `${local}@${organisation.domain}`;
const mode = (mode: string) => must("PUT", `/api/domains/${organisation.domain}/mode`, { mode });

beforeAll(async () => {
  organisation = await createOrganisation("table.example");
});

beforeEach(async () => {
  await organisation.origin.set({});
  await mode("normal");
});

/** Sends one letter and says what came of it. */
async function outcomeOf(to: string) {
  const before = {
    kept: await kept(organisation.domain),
    origin: (await organisation.origin.messages()).length,
    objects: await objectsInStore(),
  };
  const octets = letter();
  const { rcpt, final } = await send([to], octets);
  const taken = (await organisation.origin.messages()).slice(before.origin).filter((message) => message.accepted);
  const news = (await kept(organisation.domain)).slice(before.kept.length);
  return {
    reply: final ?? rcpt[0],
    rcpt: rcpt[0],
    final,
    taken,
    news,
    octets,
    objects: (await objectsInStore()) - before.objects,
  };
}

describe("in normal mode", () => {
  it("normal, covered, origin says 250: accepted, archived, at the origin", async () => {
    const { reply, taken, news, octets } = await outcomeOf(at("ann"));
    expect(reply?.code).toBe(250);
    expect(taken).toHaveLength(1);
    expect(belowOurs(taken[0]?.raw ?? new Uint8Array())).toEqual(octets);
    expect(news).toMatchObject([{ mailbox: "ann", inInbox: false, waiting: null }]);
    expect(await octetsIn(news[0]?.key ?? "")).toEqual(octets);
  });

  it.each(["rcpt", "mail", "data", "final"] as const)(
    "normal, covered, origin says 5xx to %s: the sender hears the origin's own text, nothing is kept",
    async (verb) => {
      await organisation.origin.set({
        steps: { [verb]: "571 5.7.99 We do not like it\n571 5.7.99 at all".replace("571 5.7.99 We", "571-5.7.99 We") },
      });
      const { reply, news, objects, taken } = await outcomeOf(at("ann"));
      expect(reply).toMatchObject({ code: 571, enhanced: "5.7.99" });
      expect(reply?.text).toContain("We do not like it");
      expect(news).toEqual([]);
      expect(objects).toBe(0);
      expect(taken).toEqual([]);
    },
  );

  it.each([
    ["4xx to RCPT", { steps: { rcpt: "451 4.7.1 Greylisted" } }],
    ["4xx to MAIL", { steps: { mail: "452 4.3.1 Disk full" } }],
    ["4xx to DATA", { steps: { data: "451 4.3.0 Later" } }],
    ["4xx to the final dot", { steps: { final: "451 4.3.0 Later" } }],
    ["no reply to the final dot, connection lost", { steps: { final: { drop: true } } }],
    ["a 5xx greeting", { steps: { greeting: { reply: "554 5.3.2 No service", drop: true } } }],
    ["a 5xx to EHLO", { steps: { ehlo: "550 5.0.0 no", helo: "550 5.0.0 no" } }],
    ["421 to RCPT", { steps: { rcpt: { reply: "421 4.3.2 Shutting down", drop: true } } }],
  ])(
    "normal, covered, origin unavailable (%s): accepted, archived, in the portal inbox and the backlog",
    async (_what, behaviour) => {
      await organisation.origin.set(behaviour);
      const { reply, news, octets } = await outcomeOf(at("ann"));
      expect(reply?.code).toBe(250);
      expect(news).toMatchObject([{ mailbox: "ann", inInbox: true }]);
      expect(news[0]?.waiting).toBeGreaterThan(0);
      expect(await octetsIn(news[0]?.key ?? "")).toEqual(octets);
    },
  );

  it("normal, covered, no connection: accepted, archived, in the portal inbox and the backlog", async () => {
    await organisation.origin.stop();
    try {
      const { reply, news } = await outcomeOf(at("bob"));
      expect(reply?.code).toBe(250);
      expect(news).toMatchObject([{ mailbox: "bob", inInbox: true }]);
    } finally {
      await organisation.origin.start();
    }
  });

  it.each(["dan", "stranger"])(
    "normal, not covered or unknown (%s), origin says 250: accepted, not archived, at the origin",
    async (local) => {
      const { reply, taken, news, octets, objects } = await outcomeOf(at(local));
      expect(reply?.code).toBe(250);
      expect(belowOurs(taken[0]?.raw ?? new Uint8Array())).toEqual(octets);
      expect(news).toEqual([]);
      expect(objects).toBe(0);
    },
  );

  it.each(["dan", "stranger"])("normal, not covered or unknown (%s), origin says 5xx: the same", async (local) => {
    await organisation.origin.set({ steps: { rcpt: "550 5.1.1 Never heard of" } });
    const { reply, rcpt } = await outcomeOf(at(local));
    expect(reply).toEqual({ code: 550, enhanced: "5.1.1", text: "Never heard of" });
    expect(rcpt).toEqual(reply);
  });

  it.each(["dan", "stranger"])(
    "normal, not covered or unknown (%s), origin unavailable: a temporary failure, nothing is kept",
    async (local) => {
      await organisation.origin.set({ steps: { final: { drop: true } } });
      const { reply, news, objects } = await outcomeOf(at(local));
      expect(reply?.code).toBe(451);
      expect(news).toEqual([]);
      expect(objects).toBe(0);
    },
  );
});

describe("in emergency mode", () => {
  beforeEach(() => mode("emergency"));

  it("emergency, covered: accepted without asking the origin, archived, in the portal inbox and the backlog", async () => {
    const { reply, taken, news, octets } = await outcomeOf(at("ann"));
    expect(reply?.code).toBe(250);
    expect(taken).toEqual([]);
    expect(news).toMatchObject([{ mailbox: "ann", inInbox: true }]);
    expect(news[0]?.waiting).toBeGreaterThan(0);
    expect(await octetsIn(news[0]?.key ?? "")).toEqual(octets);
  });

  it.each(["info", "INFO", "ann+news", "Info+News"])(
    "emergency, covered under another name (%s): it is the mailbox's",
    async (local) => {
      const { reply, news } = await outcomeOf(at(local));
      expect(reply?.code).toBe(250);
      expect(news).toMatchObject([{ mailbox: "ann", inInbox: true }]);
    },
  );

  it("emergency, registered but not covered: a temporary failure", async () => {
    const { reply, news } = await outcomeOf(at("dan"));
    expect(reply?.code).toBe(451);
    expect(news).toEqual([]);
  });

  it("emergency, unknown: 550 5.1.1", async () => {
    const { reply, news } = await outcomeOf(at("stranger"));
    expect(reply).toMatchObject({ code: 550, enhanced: "5.1.1" });
    expect(news).toEqual([]);
  });

  it.each(["postmaster", "Abuse"])("emergency: %s is always accepted (RFC 5321 §4.5.1)", async (local) => {
    const { reply } = await outcomeOf(at(local));
    expect(reply?.code).toBe(250);
  });
});

it("continuity off: every recipient is treated as not covered, and the mode is normal", async () => {
  await mode("emergency");
  await must("PUT", `/api/domains/${organisation.domain}?waiting=keep`, { continuity: false });
  try {
    const { reply, taken, news } = await outcomeOf(at("ann"));
    expect(reply?.code).toBe(250);
    expect(taken).toHaveLength(1);
    expect(news).toEqual([]);
  } finally {
    await must("PUT", `/api/domains/${organisation.domain}`, { continuity: true });
  }
});
