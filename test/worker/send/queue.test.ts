import { beforeEach, describe, expect, it } from "vitest";
import { json } from "../access/client.ts";
import { Clock, createSender, folder, rawOf, type Sender } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`queue-${count}.example.org`);
  clock = await Clock.over(sender);
});

const ann = () => `ann@${sender.domain}`;
const inbox = () => folder(sender.ann, "inbox");
const HOUR = 3600;

describe("the queue", () => {
  it("sends at once", async () => {
    const id = await clock.write({ to: ["zoe@example.net"] });
    expect(await clock.next()).toBe(0);
    await clock.run();
    expect(await clock.states(id)).toMatchObject([{ state: "delivered", next: null, reply: "250 2.0.0 queued" }]);
    expect(await clock.next()).toBeNull();
  });

  it("sends to as many as a message may have, and is done with it", async () => {
    const to = Array.from({ length: 100 }, (_, number) => `r${number}@example.net`);
    const ids = [await clock.write({ to }), await clock.write({ to, subject: "Once more" })];
    await clock.run();
    expect((await sender.smartHost.messages()).map((message) => message.to.length)).toEqual([100, 100]);
    expect(await clock.next()).toBeNull();
    for (const id of ids) expect((await clock.states(id)).every(({ state }) => state === "delivered")).toBe(true);
  });

  it("tries what was deferred again with growing pauses, until it is taken", async () => {
    await sender.smartHost.set({ steps: { rcpt: "450 4.2.0 later" } });
    const id = await clock.write({ to: ["zoe@example.net"] });
    const pauses: number[] = [];
    for (let tries = 0; tries < 9; tries++) {
      await clock.run((await clock.next()) ?? 0);
      pauses.push((await clock.next()) ?? 0);
    }
    expect(pauses).toEqual([60, 120, 240, 480, 960, 1920, 3840, 5400, 1380]);
    expect(await clock.states(id)).toMatchObject([{ state: "waiting", reply: "450 4.2.0 later" }]);
    await sender.smartHost.set({});
    await clock.run(5400);
    expect(await clock.states(id)).toMatchObject([{ state: "delivered" }]);
    expect(await sender.smartHost.messages()).toHaveLength(1);
  });

  it("tells the writer once, after four hours, that it takes longer, and goes on trying", async () => {
    await sender.smartHost.stop();
    await clock.write({ to: ["zoe@example.net"], subject: "Slow" });
    await clock.run(4 * HOUR - 60);
    expect(await inbox()).toEqual([]);
    await clock.run(120);
    const [warning] = await inbox();
    expect(warning).toMatchObject({ subject: "[Not delivered yet] Slow", waiting: true });
    const octets = await rawOf(sender.ann, warning?.id);
    expect(octets).toMatch(/\r\nAction: delayed\r\nStatus: 4\.4\.1\r\n/);
    expect(octets).toContain("\r\nWill-Retry-Until: Sun, 04 Jan 2099 12:00:00 +0000\r\n");
    await clock.run(24 * HOUR);
    expect(await inbox()).toHaveLength(1);
    await sender.smartHost.start();
    await clock.run(2 * HOUR);
    expect(await sender.smartHost.messages()).toHaveLength(1);
  });

  it("gives up after three days, and the writer hears it in the conversation of the message", async () => {
    await sender.smartHost.set({ steps: { final: "451 4.3.0 disk full" } });
    const id = await clock.write({ to: ["zoe@example.net"], subject: "Lost" });
    await clock.run(3 * 24 * HOUR - 60);
    expect(await clock.states(id)).toMatchObject([{ state: "waiting" }]);
    await clock.run(120);
    expect(await clock.states(id)).toMatchObject([{ state: "expired", next: null }]);
    expect(await clock.next()).toBeNull();
    const [report] = await inbox();
    const [sent] = await folder(sender.ann, "sent");
    expect(report).toMatchObject({ subject: "[Not delivered] Lost", thread: sent?.thread });
    const octets = await rawOf(sender.ann, report?.id);
    expect(octets).toContain("\r\nAction: failed\r\nStatus: 5.4.7\r\nDiagnostic-Code: smtp; 451 4.3.0 disk full\r\n");
  });

  it("tells of a refusal at once, of all recipients of a message that were refused together, and sends to the others", async () => {
    await sender.smartHost.set({
      recipients: { "gone@example.net": "550 5.1.1 no such user", "full@example.net": "552 5.2.2 mailbox full" },
    });
    const id = await clock.write({ to: ["gone@example.net", "zoe@example.net", "full@example.net"], subject: "Three" });
    await clock.run();
    expect(await clock.states(id)).toMatchObject([
      { recipient: "gone@example.net", state: "refused", reply: "550 5.1.1 no such user" },
      { recipient: "zoe@example.net", state: "delivered" },
      { recipient: "full@example.net", state: "refused" },
    ]);
    expect((await sender.smartHost.messages()).map(({ to }) => to)).toEqual([["zoe@example.net"]]);
    const reports = await inbox();
    expect(reports).toMatchObject([{ subject: "[Not delivered] Three" }]);
    const octets = await rawOf(sender.ann, reports[0]?.id);
    for (const part of [
      "Content-Type: multipart/report; report-type=delivery-status;",
      "Final-Recipient: rfc822; gone@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n",
      "Final-Recipient: rfc822; full@example.net\r\nAction: failed\r\nStatus: 5.2.2\r\n",
      "Auto-Submitted: auto-replied\r\n",
      "\r\nSubject: Three\r\n",
    ])
      expect(octets).toContain(part);
    expect(octets).not.toContain("zoe@example.net\r\nAction");
  });

  it("sends a report to the writer's own server in normal mode, from the null sender", async () => {
    await json("PUT", `/api/domains/${sender.domain}/mode`, {
      token: "operator-token-of-the-tests",
      body: { mode: "normal" },
    });
    await sender.smartHost.set({ steps: { rcpt: "550 5.1.1 no such user" } });
    await clock.write({ to: ["gone@example.net"] });
    await clock.run();
    expect(await sender.origin.messages()).toMatchObject([{ from: "", to: [ann()] }]);
    expect(await inbox()).toEqual([]);
  });

  it("keeps a report for the writer until somebody takes it", async () => {
    await json("PUT", `/api/domains/${sender.domain}`, {
      token: "operator-token-of-the-tests",
      body: { continuity: false },
    });
    await sender.smartHost.set({ steps: { rcpt: "550 5.1.1 no such user" } });
    await sender.origin.stop();
    await clock.write({ to: ["gone@example.net"] });
    await clock.run(HOUR);
    expect(await clock.next()).toBeGreaterThan(0);
    await sender.origin.start();
    await clock.run(HOUR);
    expect(await sender.origin.messages()).toMatchObject([{ from: "", to: [ann()] }]);
    expect(await clock.next()).toBeNull();
  });

  it("never answers a report with a report", async () => {
    await sender.smartHost.set({ steps: { rcpt: "550 5.1.1 no such user" } });
    const octets = "From: postmaster@example.org\r\nMessage-ID: <r@x>\r\n\r\nreport\r\n";
    const submitted = await clock.submit(octets, { from: "", to: ["gone@example.net"], writer: { kind: "system" } });
    expect(submitted.ok).toBe(true);
    await clock.run(4 * 24 * HOUR);
    expect(await sender.smartHost.report()).toMatchObject({ messages: [] });
    expect(await inbox()).toEqual([]);
    expect(await sender.origin.messages()).toEqual([]);
  });

  it("sends the rest at once where a server takes only some recipients in one transaction", async () => {
    await sender.smartHost.set({ steps: { rcpt: [null, null, "452 4.5.3 too many recipients", null] } });
    await clock.write({ to: ["a@example.net", "b@example.net", "c@example.net"] });
    await clock.run();
    const to = (await sender.smartHost.messages()).map((message) => message.to);
    expect(to).toEqual([["a@example.net", "b@example.net"], ["c@example.net"]]);
  });

  it("does not try over and over a server that never takes even one recipient", async () => {
    await sender.smartHost.set({ steps: { rcpt: "452 4.5.3 too many recipients" } });
    await clock.write({ to: ["a@example.net"] });
    await clock.run();
    expect(await clock.next()).toBe(60);
  });

  it("uses one connection for many messages, and begins anew where the server hangs up in between", async () => {
    for (let number = 0; number < 12; number++) await clock.write({ to: [`a${number}@example.net`] });
    await sender.smartHost.set({
      steps: { mail: [null, null, null, null, null, null, { reply: "421 4.4.2 idle", drop: true }, null] },
    });
    await clock.run();
    const report = await sender.smartHost.report();
    expect(report.messages).toHaveLength(12);
    expect(report.connections).toBeLessThan(8);
    expect(await clock.next()).toBeNull();
  });

  it("does not connect again for each message to a server that is away", async () => {
    await sender.smartHost.set({ steps: { greeting: { reply: "421 4.3.2 closing", drop: true } } });
    for (let number = 0; number < 20; number++) await clock.write({ to: [`a${number}@example.net`] });
    await clock.run();
    expect((await sender.smartHost.report()).connections).toBeLessThan(5);
    expect(await clock.next()).toBe(60);
  });

  it("takes a refused login for no refusal of the mail", async () => {
    await sender.smartHost.set({ steps: { ehlo: "550 5.7.1 go away" } });
    const id = await clock.write({ to: ["zoe@example.net"] });
    await clock.run();
    expect(await clock.states(id)).toMatchObject([{ state: "waiting" }]);
    expect(await inbox()).toEqual([]);
  });

  it("goes on with others, and with what comes meanwhile, while a server thinks about one message", async () => {
    await sender.smartHost.set({ steps: { final: [{ held: true }, null] } });
    await clock.write({ to: ["slow@example.net"] });
    const run = clock.run();
    const to = async () => (await sender.smartHost.messages()).map((message) => message.to[0]).sort();
    const until = async (count: number) => {
      for (let looks = 0; looks < 500 && (await to()).length < count; looks++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const dots = async () => (await sender.smartHost.report()).transcript.filter((line) => line.endsWith(" .")).length;
    while ((await dots()) < 1) await new Promise((resolve) => setTimeout(resolve, 20));
    await clock.write({ to: ["a@example.net"] });
    await clock.write({ to: [`bob@${sender.domain}`] });
    await until(1);
    expect(await to()).toEqual(["a@example.net"]);
    expect(await folder(sender.bob, "inbox")).toHaveLength(1);
    await sender.smartHost.set({});
    await run;
    expect(await to()).toEqual(["a@example.net", "slow@example.net"]);
  });
});
