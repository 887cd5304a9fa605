import { describe, expect, it } from "vitest";
import { MAX_STEADY_TIME } from "../../../src/core/limits.ts";
import { initialMode, probeInterval, steadyTime, viewOf } from "../../../src/core/mode.ts";
import { delivered, failure, Machine, noConnection, pathFailure, refused, reply } from "./machine.ts";

/** Runs the object's own rhythm: probes at the interval that the machine asks for, from the beginning of one to the next. */
function secondsToEmergency(outcome: Parameters<Machine["probe"]>[0], takes: number): number | null {
  const machine = new Machine();
  machine.probe();
  const died = machine.now; // right after a good probe: the worst case
  let next = machine.now + probeInterval(machine.state, 30_000);
  while (machine.now - died < 300_000) {
    machine.now = Math.max(machine.now, next);
    next = machine.now;
    machine.probe(outcome, takes);
    next += probeInterval(machine.state, 30_000);
    if (machine.state.mode === "emergency") return (machine.now - died) / 1000;
  }
  return null;
}

describe("hysteresis: failover", () => {
  it("a dead server that refuses connections leads to emergency mode within a minute, without any mail", () => {
    expect(secondsToEmergency(noConnection, 0)).toBeLessThan(60);
  });

  it("a dead server that does not answer at all leads to emergency mode within a minute, without any mail", () => {
    expect(secondsToEmergency(failure("connect", "timeout"), 10)).toBeLessThan(60);
  });

  it("one greylisting 451 does not flip a domain", () => {
    const machine = new Machine();
    machine.deliver(reply("rcpt", 451));
    machine.wait(300).probe();
    expect(machine.state.mode).toBe("normal");
    expect(viewOf(machine.state).doubt).toBe(false);
  });

  it("one slow answer does not flip a domain", () => {
    const machine = new Machine();
    machine.deliver(failure("mail", "timeout"), "ada@example.org", 30);
    expect(viewOf(machine.state).doubt).toBe(true);
    machine.probe();
    machine.wait(60).deliver(failure("mail", "timeout"), "bob@example.org", 30);
    expect(machine.state.mode).toBe("normal");
  });

  it("a daemon that restarts within 5 s does not flip a domain, however much mail comes meanwhile", () => {
    const machine = new Machine();
    for (let i = 0; i < 50; i++) machine.wait(0.1).deliver(noConnection, `user${i}@example.org`);
    machine.probe();
    machine.wait(600).probe();
    expect(machine.state.mode).toBe("normal");
    expect(viewOf(machine.state).doubt).toBe(false);
  });

  it("evidence older than the origin's last answer does not count, but asks for a probe at once", () => {
    const machine = new Machine();
    const began = machine.now;
    machine.wait(20).probe();
    const effects = machine.event({
      kind: "delivery",
      recipient: "a@example.org",
      outcome: failure("data", "timeout"),
      began,
    });
    expect(viewOf(machine.state).doubt).toBe(false);
    expect(effects).toEqual([{ kind: "probe" }]);
  });

  it("the cause says what was seen", () => {
    const machine = new Machine().die();
    expect(machine.state.cause).toBe("4 failed probes in 15 s: connect, no_connection");
    const change = machine.effects.find((effect) => effect.kind === "changed");
    expect(change).toMatchObject({ from: "normal", to: "emergency", actor: "probe", cause: machine.state.cause });
  });

  it("evidence is forgotten after some minutes", () => {
    const machine = new Machine();
    machine.deliver(reply("mail", 451));
    machine.wait(301).deliver(reply("mail", 451));
    expect(machine.state.mode).toBe("normal");
    machine.wait(301).event({ kind: "time" });
    expect(viewOf(machine.state).doubt).toBe(false);
  });
});

describe("a final reply that was waited for longer than a sender waits", () => {
  const late = (machine: Machine, outcome: Parameters<Machine["deliver"]>[0], recipient: string) =>
    machine.event({ kind: "delivery", recipient, outcome, began: machine.now - 300_000, late: true });

  it.each([
    ["does not come", failure("final", "timeout")],
    ["is lost with the connection", failure("final", "dropped")],
    ["is 421", reply("final", 421)],
  ])("and %s is weak evidence, but asks for a probe at once", (_what, outcome) => {
    const machine = new Machine();
    for (let i = 0; i < 10; i++) {
      expect(late(machine.wait(20), outcome, `user${i}@example.org`)).toEqual([{ kind: "probe" }]);
    }
    expect(machine.state.mode).toBe("normal");
    expect(viewOf(machine.state).doubt).toBe(false);
  });

  it("and is 250 settles what was held against the origin", () => {
    const machine = new Machine();
    machine.deliver(reply("mail", 451));
    expect(viewOf(machine.state).doubt).toBe(true);
    late(machine.wait(5), delivered, "ada@example.org");
    expect(viewOf(machine.state).doubt).toBe(false);
  });
});

describe("strong evidence", () => {
  it.each([
    ["no connection", noConnection],
    ["a timeout", failure("rcpt", "timeout")],
    ["a connection that is dropped", failure("data", "dropped")],
    ["a 421", reply("rcpt", 421)],
    ["a 4xx to MAIL", reply("mail", 451)],
    ["a failed TLS handshake", failure("connect", "tls")],
    ["a 5xx to the greeting", reply("greeting", 554)],
    ["a 5xx to EHLO", reply("ehlo", 550)],
    ["a 5xx to AUTH (a changed password)", reply("auth", 535)],
    ["a 4xx to STARTTLS", reply("starttls", 454)],
  ])("%s puts the domain in doubt, and twice over 15 s fails over", (_, outcome) => {
    const machine = new Machine();
    const effects = machine.deliver(outcome);
    expect(effects).toEqual([{ kind: "probe" }]);
    expect(viewOf(machine.state).doubt).toBe(true);
    expect(probeInterval(machine.state, 30_000)).toBe(5_000);
    machine.wait(14.999).deliver(outcome);
    expect(machine.state.mode).toBe("normal");
    machine.wait(0.001).deliver(outcome);
    expect(machine.state.mode).toBe("emergency");
  });

  it("4xx to three different recipients within a minute is strong", () => {
    const machine = new Machine();
    for (const user of ["a", "b"]) machine.wait(10).deliver(reply("rcpt", 451), `${user}@example.org`);
    expect(viewOf(machine.state).doubt).toBe(false);
    machine.wait(10).deliver(reply("final", 451), "c@example.org");
    expect(viewOf(machine.state).doubt).toBe(true);
    machine.wait(1).deliver(reply("data", 451), "d@example.org");
    expect(machine.state.mode).toBe("emergency");
  });

  it("4xx to three different recipients in more than a minute is not", () => {
    const machine = new Machine();
    for (const user of ["a", "b", "c", "d", "e"]) machine.wait(31).deliver(reply("rcpt", 451), `${user}@example.org`);
    expect(viewOf(machine.state).doubt).toBe(false);
  });

  it("a good probe settles that the origin could not be reached", () => {
    const machine = new Machine();
    machine.deliver(noConnection);
    machine.wait(1).probe();
    expect(viewOf(machine.state).doubt).toBe(false);
  });

  it("a good probe does not settle that the origin takes no mail: only a delivery does", () => {
    const machine = new Machine();
    machine.deliver(reply("mail", 452));
    machine.wait(1).probe();
    expect(viewOf(machine.state).doubt).toBe(true);
    machine.wait(1).deliver(delivered);
    expect(viewOf(machine.state).doubt).toBe(false);
  });
});

describe("weak evidence", () => {
  it("the 4xx of a single recipient (mailbox full, greylisting) never flips a domain", () => {
    const machine = new Machine();
    for (let i = 0; i < 100; i++) machine.wait(3).deliver(reply("rcpt", 452), "full@example.org");
    expect(viewOf(machine.state).doubt).toBe(false);
    expect(machine.state.mode).toBe("normal");
  });

  it("a final reply that does not come in time is weak, and asks for a probe", () => {
    const machine = new Machine();
    machine.deliver(failure("final", "timeout"));
    expect(machine.wait(600).deliver(failure("final", "timeout"))).toEqual([{ kind: "probe" }]);
    expect(viewOf(machine.state).doubt).toBe(false);
  });

  it("a message that another server took for the origin is no evidence that the origin takes mail", () => {
    const machine = new Machine();
    machine.probe(noConnection);
    for (let i = 0; i < 20; i++) {
      machine.wait(1).deliver({ ...delivered, where: "path" });
      expect(viewOf(machine.state).doubt).toBe(true);
    }
    machine.probe(noConnection);
    expect(machine.state.mode).toBe("emergency");
  });

  it("a failure of our own path is no evidence against the origin", () => {
    const machine = new Machine();
    for (let i = 0; i < 100; i++) {
      machine.wait(5).probe(pathFailure);
      machine.deliver(pathFailure);
    }
    expect(viewOf(machine.state).doubt).toBe(false);
    expect(machine.kinds()).toEqual([]);
  });

  it("a refusal is an answer: it settles that the origin could not be reached", () => {
    const machine = new Machine();
    machine.deliver(noConnection);
    machine.wait(1).deliver(refused);
    expect(viewOf(machine.state).doubt).toBe(false);
  });
});

describe("a person's choice wins over the automatism", () => {
  it("emergency is held although the origin answers", () => {
    const machine = new Machine();
    machine.choose("emergency");
    expect(machine.untilProof()).toBeNull();
    machine.event({ kind: "proof", ok: true, text: "late" });
    expect(machine.state).toMatchObject({ mode: "emergency", cause: "chosen by admin@example.org" });
  });

  it("normal is held although the origin is dead", () => {
    const machine = new Machine().die();
    machine.choose("normal");
    machine.die().die();
    expect(machine.state.mode).toBe("normal");
    expect(machine.kinds()).toContain("failback");
  });

  it("until that person releases it: then the evidence of meanwhile counts at once", () => {
    const machine = new Machine();
    machine.choose("normal");
    machine.die();
    machine.choose("auto");
    expect(machine.state).toMatchObject({ mode: "emergency", choice: null });
  });

  it("until that person releases it: then a good origin is proved and gets its mail", () => {
    const machine = new Machine();
    machine.choose("emergency");
    machine.untilProof(5, 60);
    machine.choose("auto");
    expect(machine.state.mode).toBe("emergency");
    expect(machine.probe()).toEqual([{ kind: "prove" }]);
  });

  it("a choice of the mode that there is holds it, and is logged", () => {
    const machine = new Machine();
    expect(machine.choose("normal")).toEqual([
      { kind: "log", event: "mode_held", actor: "admin@example.org", data: { mode: "normal" } },
    ]);
    expect(machine.die().state.mode).toBe("normal");
  });

  it("a release where nothing is held changes nothing", () => {
    expect(new Machine().choose("auto")).toEqual([]);
  });
});

describe("manual switching", () => {
  it("never changes the mode by itself", () => {
    const machine = new Machine("manual").die().die();
    expect(machine.state.mode).toBe("normal");
    expect(viewOf(machine.state).doubt).toBe(true);
    machine.choose("emergency");
    expect(machine.state.mode).toBe("emergency");
    expect(machine.untilProof()).toBeNull();
  });

  it("drops the hold on release and nothing else", () => {
    const machine = new Machine("manual");
    machine.choose("emergency");
    machine.choose("auto");
    machine.recover().die();
    expect(machine.state).toMatchObject({ mode: "emergency", choice: null, cause: "chosen by admin@example.org" });
  });

  it("fails over at once when it becomes automatic on a dead origin", () => {
    const machine = new Machine("manual").die();
    machine.event({ kind: "settings", continuity: true, switching: "automatic" });
    expect(machine.state.mode).toBe("emergency");
  });
});

describe("continuity off", () => {
  it("means normal mode, whatever was chosen", () => {
    const machine = new Machine();
    machine.choose("emergency");
    machine.event({ kind: "settings", continuity: false, switching: "automatic" });
    expect(machine.state).toMatchObject({ mode: "normal", choice: null, cause: "continuity was switched off" });
    expect(machine.kinds()).toContain("failback");
  });
  it("leaves no way into emergency mode", () => {
    const machine = new Machine("automatic", false).die();
    expect(machine.choose("emergency")).toEqual([]);
    expect(machine.state).toMatchObject({ mode: "normal", choice: null });
    expect(initialMode({ continuity: false, switching: "manual" }, "emergency", 0).mode).toBe("normal");
  });
});

describe("failback is proved", () => {
  it("good probes alone do not change the mode", () => {
    const machine = new Machine().die();
    machine.untilProof();
    expect(machine.state.mode).toBe("emergency");
  });

  it("after steady good answers one message goes first, and its success changes the mode, within 60 s", () => {
    const machine = new Machine().die();
    expect(machine.untilProof()).toBeLessThan(60);
    const effects = machine.event({ kind: "proof", ok: true, text: "delivered: 250 2.0.0 queued" });
    expect(machine.state.mode).toBe("normal");
    expect(machine.state.cause).toBe("the origin takes mail again: delivered: 250 2.0.0 queued");
    expect(effects.map((effect) => effect.kind)).toEqual(["changed", "failback"]);
    expect(viewOf(machine.state).doubt).toBe(false);
  });

  it("a failed proof starts the wait again: a server that answers NOOP may still be taking no mail", () => {
    const machine = new Machine().die();
    machine.untilProof();
    machine.event({ kind: "proof", ok: false, text: "unavailable" });
    expect(machine.state.mode).toBe("emergency");
    machine.wait(5);
    expect(machine.untilProof()).toBeGreaterThanOrEqual(20);
  });

  it("one bad probe in between starts the wait again", () => {
    const machine = new Machine().die();
    machine.untilProof(5, 15);
    machine.probe(noConnection);
    machine.wait(5);
    expect(machine.untilProof()).toBeGreaterThanOrEqual(20);
  });

  it("each flap doubles the wait", () => {
    const machine = new Machine().die();
    const waits: (number | null)[] = [];
    for (let i = 0; i < 4; i++) {
      waits.push(machine.untilProof());
      machine.event({ kind: "proof", ok: true, text: "delivered" });
      machine.wait(60).die();
    }
    expect(waits).toEqual([20, 40, 80, 160]);
    expect(steadyTime(100)).toBe(MAX_STEADY_TIME);
  });

  it("a quiet hour takes a flap back", () => {
    const machine = new Machine().die().recover().die().recover().die();
    expect(machine.state.flaps).toBe(2);
    machine.recover().wait(3601).die();
    expect(machine.state.flaps).toBe(1);
    machine
      .recover()
      .wait(24 * 3600)
      .die();
    expect(machine.state.flaps).toBe(0);
  });
});
