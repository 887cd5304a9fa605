import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FIRST_RETRY, LAST_RETRY } from "../../src/core/limits.ts";
import { nextDelay } from "../../src/core/retry.ts";

const random = fc.double({ min: 0, max: 1, noNaN: true });

describe("a deferred message", () => {
  it("is tried again within 60 s at first", () => {
    fc.assert(
      fc.property(random, (chance) => {
        expect(nextDelay(1, chance)).toBeLessThan(60_000);
        expect(nextDelay(1, chance)).toBeGreaterThan(0);
      }),
    );
  });
  it("waits twice as long each time", () => {
    expect([1, 2, 3, 4, 5].map((attempt) => nextDelay(attempt, 0.5) / FIRST_RETRY)).toEqual([1, 2, 4, 8, 16]);
  });
  it("never waits longer than 15 minutes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), random, (attempt, chance) => {
        expect(nextDelay(attempt, chance)).toBeLessThanOrEqual(LAST_RETRY);
      }),
    );
    expect(nextDelay(100, 0.5)).toBe(LAST_RETRY);
  });
  it("does not come back at the same moment as all that failed with it", () => {
    expect(nextDelay(1, 0)).toBe(FIRST_RETRY * 0.8);
    expect(nextDelay(1, 1)).toBe(FIRST_RETRY * 1.2);
  });
});
