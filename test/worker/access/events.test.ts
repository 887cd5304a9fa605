import { describe, expect, it } from "vitest";
import { describeEvent } from "../../../src/worker/access/web/events.ts";

describe("an event of the log in the panel", () => {
  it.each([
    [
      "mode_changed",
      { from: "normal", to: "emergency", cause: "4 failed probes in 15 s" },
      "Switched to emergency mode: 4 failed probes in 15 s",
    ],
    [
      "failback_run",
      { delivered: 12, refused: 1, deferred: 0, peak: 4 },
      "Waiting mail was given back: 12 delivered, 1 refused, 0 deferred",
    ],
    [
      "waiting_mail_kept",
      { messages: 1, what: "the mailbox a@example.org" },
      "1 message for the mailbox a@example.org stayed on Holdfast for good",
    ],
    [
      "mailbox_changed",
      { mailbox: "a@example.org", changed: ["aliases", "password"] },
      "The mailbox a@example.org was changed: aliases, password",
    ],
    [
      "domain_changed",
      { continuity: true, origin: { host: "h", port: 465, username: null } },
      "The settings were changed: continuity on, origin (host h, port 465)",
    ],
    [
      "late_refusal",
      { key: "archive/x", to: ["a@example.org"], reply: "554 5.7.1 no" },
      "After its sender had been answered, the mail server refused a message for a@example.org: 554 5.7.1 no",
    ],
    [
      "late_reply_missing",
      { key: "archive/x", to: ["a@example.org"], phase: "final", reason: "timeout" },
      "The mail server did not say whether it took a message for a@example.org: it goes again",
    ],
    ["somethingNew_happened", { nextRun: 5, why: "" }, "Something new happened: next run 5"],
  ])("%s is a sentence", (kind, data, sentence) => {
    expect(describeEvent({ kind, actor: "system", data })).toBe(sentence);
  });
});
