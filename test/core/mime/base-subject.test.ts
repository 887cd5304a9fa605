import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { baseSubject } from "../../../src/core/mime/base-subject.ts";

describe("a base subject (RFC 5256 §2.1)", () => {
  it.each([
    ["Lunch", "lunch"],
    ["Re: Lunch", "lunch"],
    ["RE : re: Fwd:  Lunch  today (fwd) (Fwd)", "lunchtoday"],
    ["Re[2]: Lunch", "lunch"],
    ["[staff] Re: [staff] Lunch", "lunch"],
    ["[Fwd: [Fwd: Re: Lunch]]", "lunch"],
    ["AW: WG: Lunch", "lunch"],
    ["回复：Lunch", "lunch"],
    ["[staff]", "[staff]"],
    ["Re: [staff]", "[staff]"],
    ["Regarding: Lunch", "regarding:lunch"],
    ["Re:", ""],
    ["", ""],
    ["Gru\u0308n", "grün"],
  ])("of %j is %j", (subject, base) => {
    expect(baseSubject(subject)).toBe(base);
  });

  it("of an answer is that of what it answers", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.constantFrom("Re: ", "RE:", "Fwd: ", "[list] ", "Re: [list] Fw: "),
        (subject, leader) => {
          // A list's name before nothing is the subject itself.
          fc.pre(baseSubject(subject) !== "" || !leader.includes("["));
          expect(baseSubject(leader + subject)).toBe(baseSubject(subject));
        },
      ),
    );
  });

  it("of what was made to cost time is found in time", () => {
    for (const text of ["re:".repeat(700), "[".repeat(2_000), "[a]".repeat(700), "[fwd:".repeat(400)])
      expect(baseSubject(text).length).toBeLessThan(2_001);
  });
});
