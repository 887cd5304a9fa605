import { describe, expect, it } from "vitest";
import { rowFor, TABLE } from "../../src/core/decision.ts";

describe("the table of what happens to a message", () => {
  it("has one row for every mode, recipient and answer that can occur", () => {
    for (const recipient of ["covered", "registered", "unknown"] as const) {
      for (const origin of ["delivered", "refused", "unavailable"] as const) {
        expect(
          TABLE.filter(
            (row) =>
              row.mode === "normal" &&
              row.origin === origin &&
              (row.recipient as readonly string[]).includes(recipient),
          ),
        ).toHaveLength(1);
      }
      expect(rowFor("emergency", recipient, "not_asked").mode).toBe("emergency");
    }
  });

  it("archives what it accepts for covered mailboxes and nothing else", () => {
    for (const row of TABLE) {
      const covered = (row.recipient as readonly string[]).includes("covered");
      expect(row.archive).toBe(covered && row.sender === "accepted");
    }
  });

  it("accepts nothing that goes nowhere", () => {
    for (const row of TABLE) expect(row.sender === "accepted").toBe(row.goesTo !== "nowhere");
  });
});
