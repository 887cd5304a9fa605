import { describe, expect, it } from "vitest";
import { parseReindex } from "../../../src/local/reindex/options.ts";

describe("what npm run reindex is told", () => {
  it("takes the local service and the operator of the environment", () => {
    const parsed = parseReindex([], { HOLDFAST_STATE: "/tmp/state", HOLDFAST_OPERATOR_TOKEN: "token" });
    expect(parsed).toMatchObject({
      ok: true,
      settings: { url: null, token: "token", state: "/tmp/state", since: null, dryRun: false, restart: false },
    });
  });

  it("prefers its arguments", () => {
    const args = ["--url", "https://mail.example.org", "--token", "mine", "--since", "2026-11-03", "--shard", "2"];
    const parsed = parseReindex([...args, "--dry-run", "--restart"], { HOLDFAST_OPERATOR_TOKEN: "other" });
    expect(parsed).toMatchObject({
      settings: {
        url: "https://mail.example.org",
        token: "mine",
        since: "2026-11-03T00:00:00.000Z",
        shard: 2,
        dryRun: true,
        restart: true,
      },
    });
  });

  it.each([
    [["--since", "lately"], '--since must be a date such as 2026-11-03 or 2026-11-03T14:00:00Z, not "lately".'],
    [["--url", "mail.example.org"], '--url must be an http or https address, not "mail.example.org".'],
    [["--shard", "two"], '--shard must be the number of a shard, such as 0, not "two".'],
  ])("%j is answered with a sentence", (args, sentence) => {
    expect(parseReindex(args, {})).toEqual({ ok: false, problems: [sentence] });
  });

  it("an unknown argument is answered with how it is used", () => {
    const parsed = parseReindex(["--fast"], {});
    expect(parsed.ok ? "" : parsed.problems.join("\n")).toMatch(/--fast[\s\S]*npm run reindex -- /);
  });
});
