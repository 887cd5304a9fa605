import { describe, expect, it } from "vitest";
import { type RecipientFacts, resolveRecipient } from "../../../src/worker/decide/recipient.ts";
import type { Holder } from "../../../src/worker/domain/contract.ts";

const facts: RecipientFacts = { id: 7, name: "example.org", continuity: true, coverage: "all", settings: {} };
const selected: RecipientFacts = { ...facts, coverage: "selected" };
const off: RecipientFacts = { ...facts, continuity: false };

const holder = (account: number, chosen = true): Holder => ({
  account,
  shard: 0,
  mailbox: `m${account}@example.org`,
  chosen,
});
const ADDRESSES: Readonly<Record<string, readonly Holder[]>> = {
  ada: [holder(1)],
  bob: [holder(2, false)],
  info: [holder(1), holder(2, false)],
  "ada+lists": [holder(3)],
};
const holdersOf = (local: string): readonly Holder[] => ADDRESSES[local] ?? [];
const accounts = (of: RecipientFacts, mode: "normal" | "emergency", local: string) => {
  const { status, holders } = resolveRecipient(of, mode, local, holdersOf);
  return [status, ...holders.map((one) => one.account)];
};

describe("a recipient", () => {
  it("is covered where coverage is for all", () => {
    expect(accounts(facts, "normal", "bob")).toEqual(["covered", 2]);
  });
  it("is covered where it is chosen, and else only registered", () => {
    expect(accounts(selected, "normal", "ada")).toEqual(["covered", 1]);
    expect(accounts(selected, "normal", "bob")).toEqual(["registered", 2]);
  });
  it("that belongs to several mailboxes is kept for the covered ones", () => {
    expect(accounts(facts, "emergency", "info")).toEqual(["covered", 1, 2]);
    expect(accounts(selected, "emergency", "info")).toEqual(["covered", 1]);
  });
  it("is found in any case, by its plus-address, and by a plus-address of its own first", () => {
    expect(accounts(facts, "normal", "ADA")).toEqual(["covered", 1]);
    expect(accounts(facts, "normal", "Ada+shop")).toEqual(["covered", 1]);
    expect(accounts(facts, "normal", "ada+LISTS")).toEqual(["covered", 3]);
    expect(accounts(facts, "normal", '"ada"')).toEqual(["covered", 1]);
  });
  it("is unknown where nobody has it", () => {
    expect(accounts(facts, "emergency", "eve")).toEqual(["unknown"]);
  });
  it("is never covered while continuity is off", () => {
    expect(accounts(off, "normal", "ada")).toEqual(["registered", 1]);
    expect(accounts(off, "emergency", "postmaster")).toEqual(["unknown"]);
  });
});

describe("postmaster and abuse in emergency mode (RFC 5321 §4.5.1)", () => {
  it.each(["postmaster", "Postmaster", "abuse", "abuse+case42"])(
    "%s is kept for the panel where nobody is named",
    (local) => {
      expect(resolveRecipient(facts, "emergency", local, holdersOf)).toEqual({
        status: "covered",
        holders: [{ account: -7, shard: 0, mailbox: "postmaster@example.org", chosen: true }],
      });
    },
  );
  it("go to the mailbox that the administrator names, chosen or not", () => {
    const named = { ...selected, settings: { postmaster: "bob@example.org" } };
    expect(accounts(named, "emergency", "abuse")).toEqual(["covered", 2]);
  });
  it("go to the panel where the named mailbox is gone", () => {
    const named = { ...facts, settings: { postmaster: "gone@example.org" } };
    expect(accounts(named, "emergency", "abuse")).toEqual(["covered", -7]);
  });
  it("go to their own mailbox where it is covered, and to the panel where it is not", () => {
    const own = (local: string): readonly Holder[] => (local === "postmaster" ? [holder(9, false)] : []);
    expect(resolveRecipient(facts, "emergency", "postmaster", own).holders).toEqual([holder(9, false)]);
    expect(resolveRecipient(selected, "emergency", "postmaster", own).holders[0]?.account).toBe(-7);
  });
  it("are the origin's to answer in normal mode", () => {
    expect(accounts(facts, "normal", "postmaster")).toEqual(["unknown"]);
  });
});
