import { describe, expect, it } from "vitest";
import type { OriginMessage } from "../../src/local/demo/origin.ts";
import type { Sent } from "../../src/local/demo/sender.ts";
import { accountFor, type Kill } from "../../src/local/kill/account.ts";
import { makeJob, seeded } from "../../src/local/kill/mail.ts";
import { faults } from "../../src/local/kill/report.ts";

const job = (number: number): Sent => ({ ...makeJob(seeded(number), number, "example.org"), acceptedAt: 1, tries: 1 });

function arrived({ octets, from, to }: Sent, at: number, answered = true): OriginMessage {
  const top = `Received: from x (x [192.0.2.1])\r\n\tby mx (Holdfast) with ESMTP id 1\r\n\tfor <${to}>; Tue, 24 Nov 2026 10:00:00 +0000\r\nDelivered-To: ${to}\r\n`;
  return { from, to: [to], octets: Buffer.concat([Buffer.from(top), octets]), at, answered };
}

const kill = (at: number): Kill => ({ victim: "workerd", during: "receiving", at, back: at + 5, mode: "normal" });
const none = { waiting: 0, refused: 0 };
const rest = {
  kills: [],
  archived: { messages: 1, twice: [], missing: [] },
  inInboxes: 0,
  bounced: [],
  milliseconds: 1,
};
const found = (account: ReturnType<typeof accountFor>) => faults({ ...rest, ...account });

describe("the account of the kills", () => {
  const [one, two] = [job(1), job(2)];

  it("is clean where each message is at the origin once", () => {
    expect(found(accountFor([one, two], [arrived(one, 10), arrived(two, 20)], none, [], 2))).toEqual([]);
  });

  it("counts a message that is nowhere as lost", () => {
    expect(found(accountFor([one, two], [arrived(one, 10)], none, [], 2))[0]).toBe("lost 1");
  });

  it("finds an octet that has changed", () => {
    const other = arrived(one, 10);
    other.octets.write("#", other.octets.length - 5);
    expect(found(accountFor([one], [other], none, [], 2))).toContain("changed 1");
  });

  it("explains a doubled message by the kill between its two arrivals, and by no other", () => {
    const twice = [arrived(one, 10), arrived(one, 30)];
    expect(accountFor([one], twice, none, [kill(20)], 2)).toMatchObject({
      doubled: [{ kill: { at: 20 }, copies: 1 }],
      unexplained: [],
    });
    const unexplained = [kill(9_000), kill(5_010), kill(40)];
    expect(
      found(accountFor([one], [arrived(one, 10), arrived(one, 6_000)], none, unexplained.slice(0, 2), 2)),
    ).toHaveLength(1);
    expect(found(accountFor([one], twice, none, unexplained, 2))).toEqual([
      "message 1: at the origin at 10 and 30, and no kill while it was in flight",
    ]);
  });

  it("lets a kill double no more messages than there were connections", () => {
    const twice = [arrived(one, 10), arrived(two, 11), arrived(one, 30), arrived(two, 31)];
    expect(accountFor([one, two], twice, none, [kill(20)], 2).unexplained).toEqual([]);
    expect(found(accountFor([one, two], twice, none, [kill(20)], 1))).toEqual([
      "the kill of workerd at 20 doubled 2 messages over 1 connections",
    ]);
  });
});

it("makes the same messages of the same seed, each unlike the others", () => {
  const make = () => {
    const random = seeded(7);
    return Array.from({ length: 50 }, (_, number) => makeJob(random, number, "example.org"));
  };
  expect(make()).toEqual(make());
  expect(new Set(make().map(({ sha256 }) => sha256)).size).toBe(50);
});
