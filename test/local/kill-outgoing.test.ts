import { describe, expect, it } from "vitest";
import type { Kill } from "../../src/local/kill/account.ts";
import { seeded } from "../../src/local/kill/mail.ts";
import { accountForOutgoing, type Facts, type Told } from "../../src/local/kill/outgoing/account.ts";
import { type Letter, makeLetter } from "../../src/local/kill/outgoing/letters.ts";
import type { Said } from "../../src/local/kill/outgoing/strangers.ts";

const one: Letter = { ...makeLetter(seeded(1), 2, "house.example.org"), recipients: ["ready.2.0@alpha.example"] };
const two: Letter = { ...makeLetter(seeded(2), 4, "house.example.org"), recipients: ["nobody.4.0@beta.example"] };
const TAKEN = "250 2.0.0 Ok: queued as 1";
const GONE = "550 5.1.1 Nobody of that name";

const taken = (at: number, more: Partial<Said> = {}): Said => {
  const { sha256, recipients } = one;
  return { at, host: "127.0.0.2", to: recipients[0] ?? "", outcome: "taken", reply: TAKEN, sha256, ...more };
};
const refused: Said = { ...taken(5), to: "nobody.4.0@beta.example", outcome: "refused", reply: GONE, sha256: "" };
const told = (recipient: string, state: string, reply: string): Told => ({ recipient, state, reply });
const SENT = new Map([
  ["letter 2", [[told("ready.2.0@alpha.example", "delivered", TAKEN)]]],
  ["letter 4", [[told("nobody.4.0@beta.example", "refused", GONE)]]],
]);
const kill = (at: number): Kill => ({ victim: "workerd", during: "sending", at, back: at + 5, mode: "emergency" });
const submitted = (accepted: number[], abandoned: number[] = []) => ({
  accepted: new Set(accepted),
  abandoned: new Set(abandoned),
  unanswered: abandoned.length,
  refused: [],
});

const WELL: Facts = {
  letters: [one, two],
  submitted: submitted([2, 4]),
  said: [taken(10), refused],
  sent: SENT,
  reports: [["nobody.4.0@beta.example"]],
  kills: [],
  connections: 1,
};
const faults = (facts: Partial<Facts>) => accountForOutgoing({ ...WELL, ...facts }).faults;

describe("the account of the kills while letters go out", () => {
  it("is clean where each letter was taken once, each refusal told once, and the writers are told what the servers said", () => {
    expect(accountForOutgoing(WELL)).toMatchObject({ delivered: 1, refused: 1, faults: [] });
  });

  it.each<[string, Partial<Facts>, RegExp]>([
    ["lost", { said: [refused] }, /ready\.2\.0.*: lost/],
    ["changed", { said: [taken(10, { sha256: "x" }), refused] }, /: changed/],
    ["accepted, and not in Sent", { sent: new Map([...SENT].slice(1)) }, /letter 2: accepted, and not in Sent/],
    ["twice in Sent", { sent: new Map([...SENT, ["letter 2", [...(SENT.get("letter 2") ?? []), []]]]) }, /2 times in/],
    ["without an answer", { submitted: submitted([2]) }, /letter 4: never had an answer/],
    ["refused, and not told", { reports: [] }, /nobody\.4\.0.*: 0 reports/],
    ["refused, and told twice", { reports: [...WELL.reports, ...WELL.reports] }, /: 2 reports/],
    ["delivered, and told as refused", { reports: [...WELL.reports, ["ready.2.0@alpha.example"]] }, /: 1 reports/],
    [
      "refused, and taken",
      { said: [taken(10), refused, { ...refused, outcome: "taken" }] },
      /refused, and taken 1 times/,
    ],
    [
      "said to wait for ever",
      { sent: new Map([...SENT, ["letter 2", [[told("ready.2.0@alpha.example", "waiting", TAKEN)]]]]) },
      /waiting, and should be delivered/,
    ],
    [
      "told with words that nobody said",
      { sent: new Map([...SENT, ["letter 2", [[told("ready.2.0@alpha.example", "delivered", "250 ok")]]]]) },
      /which its server never said/,
    ],
    ["doubled by no kill", { said: [taken(10), taken(20), refused] }, /no kill while it was in flight/],
    ["doubled by a kill that came later", { said: [taken(10), taken(20), refused], kills: [kill(500)] }, /no kill/],
  ])("finds a letter that was %s", (_what, facts, fault) => {
    expect(faults(facts)).toContainEqual(expect.stringMatching(fault));
  });

  it("explains a doubled letter by the kill between its two arrivals, one for each connection", () => {
    const said = [taken(10), taken(300), refused];
    const found = accountForOutgoing({ ...WELL, said, kills: [kill(50)] });
    expect([found.faults, [...found.doubled.values()]]).toEqual([[], [1]]);
    expect(accountForOutgoing({ ...WELL, said, kills: [kill(50)], connections: 0 }).faults).toHaveLength(1);
  });

  it("lets a letter that was given up be sent once or not at all, and never where it was not accepted", () => {
    const abandoned = submitted([4], [2]);
    expect(faults({ submitted: abandoned })).toEqual([]);
    const sent = new Map([...SENT].slice(1));
    expect(faults({ submitted: abandoned, said: [refused], sent })).toEqual([]);
    expect(faults({ submitted: abandoned, sent })).toEqual(["letter 2: sent, and not accepted"]);
  });
});
