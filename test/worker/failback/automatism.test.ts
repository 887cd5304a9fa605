import { describe, expect, it } from "vitest";
import type { Behaviour } from "../../support/origin-behaviour.ts";
import { dead, TestDomain } from "../domain/fixture.ts";
import { createOrigin, type TakenMessage } from "../origin-control.ts";

const decoder = new TextDecoder();
const bodies = (messages: readonly TakenMessage[]): string[] =>
  messages.map((message) => decoder.decode(message.raw).split("\r\n\r\n")[1]?.trim() ?? "");

describe("failback by automatism", () => {
  async function inEmergency(behaviour: Behaviour = {}) {
    const origin = await createOrigin(behaviour);
    const domain = await TestDomain.create({ port: origin.port });
    const ada = await domain.mailbox("ada");
    await domain.start();
    domain.probe = dead;
    await domain.run(60);
    expect(await domain.mode()).toBe("emergency");
    return { origin, domain, ada };
  }

  it("is proved by one backlog message; then the others follow", async () => {
    const { origin, domain, ada } = await inEmergency();
    const placements: number[] = [];
    for (let i = 0; i < 3; i++)
      placements.push(...(await domain.waiting({ accounts: [ada], body: `${i}` })).placements);
    domain.probe = null;
    await domain.run(40);
    expect(await domain.mode()).toBe("normal");
    expect(await domain.events("failback_proof")).toMatchObject([{ data: { delivered: 1 } }]);
    expect((await domain.events("failback_run")).at(-1)).toMatchObject({ data: { delivered: 2 } });
    expect(bodies(await origin.messages())).toEqual(["0", "1", "2"]);
    expect(await domain.states(placements)).toEqual(["gone", "gone", "gone"]);
  });

  it("does not come while the origin answers but takes no mail: one message is risked at a time", async () => {
    const { origin, domain, ada } = await inEmergency({ steps: { mail: "451 4.3.0 read-only" } });
    for (let i = 0; i < 3; i++) await domain.waiting({ accounts: [ada] });
    domain.probe = null;
    await domain.run(120);
    expect(await domain.mode()).toBe("emergency");
    const failed = await domain.events("proof_failed");
    expect(failed.length).toBeGreaterThan(1);
    const { transcript } = await origin.report();
    expect(transcript.filter((line) => line.startsWith("C: MAIL"))).toHaveLength(failed.length);
    await origin.set({});
    await domain.run(60);
    expect(await domain.mode()).toBe("normal");
    await domain.run(600);
    expect(await origin.messages()).toHaveLength(3);
  });

  it("with no backlog is proved by MAIL, RCPT and RSET", async () => {
    const { origin, domain } = await inEmergency();
    domain.probe = null;
    await domain.run(40);
    expect(await domain.mode()).toBe("normal");
    const { transcript, messages } = await origin.report();
    expect(messages).toEqual([]);
    const dialogue = transcript.filter((line) => /^C: (MAIL|RCPT|RSET|DATA)/.test(line));
    expect(dialogue).toEqual([expect.stringMatching(/^C: MAIL FROM:<>/), `C: RCPT TO:<ada@${domain.name}>`, "C: RSET"]);
    const [, changed] = await domain.events("mode_changed");
    expect(changed?.data.cause).toContain("the origin takes mail again: MAIL, RCPT, RSET: delivered: 250");
  });
});
