import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { orderMx } from "../../../../src/core/protocol/smtp/mx.ts";
import { MAX_MX_HOSTS } from "../../../../src/core/send/limits.ts";

const NOBODY = new Set<string>();
const records = (...list: [number, string][]) => list.map(([priority, exchange]) => ({ priority, exchange }));
const first = () => 0;

describe("the order of a domain's hosts", () => {
  it("the lowest preference comes first; names lose their last dot and their case", () => {
    const mx = records([20, "B.example.org."], [10, "a.example.org"]);
    expect(orderMx(mx, NOBODY, first)).toEqual({ kind: "hosts", hosts: ["a.example.org", "b.example.org"] });
  });

  it("among equals chance decides, so that the load is spread", () => {
    const mx = records([10, "a.example.org"], [10, "b.example.org"]);
    const lots = [0.9, 0.1];
    expect(orderMx(mx, NOBODY, () => lots.shift() ?? 0)).toMatchObject({ hosts: ["b.example.org", "a.example.org"] });
  });

  it("a null MX is a domain that takes no mail; beside another record it is a mistake that changes nothing", () => {
    expect(orderMx(records([0, ""]), NOBODY, first)).toEqual({ kind: "null_mx" });
    expect(orderMx(records([0, "."]), NOBODY, first)).toEqual({ kind: "null_mx" });
    expect(orderMx(records([0, "."], [10, "a.example.org"]), NOBODY, first)).toMatchObject({
      hosts: ["a.example.org"],
    });
  });

  it("where we are among the hosts, only those that are preferred to us are tried", () => {
    const mx = records([10, "a.example.org"], [20, "us.example.net"], [20, "b.example.org"], [30, "c.example.org"]);
    expect(orderMx(mx, new Set(["us.example.net"]), first)).toEqual({ kind: "hosts", hosts: ["a.example.org"] });
  });

  it("where we are the best host the mail would go in a circle", () => {
    const mx = records([10, "US.example.net."], [20, "b.example.org"]);
    expect(orderMx(mx, new Set(["us.example.net"]), first)).toEqual({ kind: "loop" });
  });

  it("an address, or what is no name, is no host", () => {
    const mx = records([10, "192.0.2.1"], [10, "bad_name!"], [10, "-"]);
    expect(orderMx(mx, NOBODY, first)).toEqual({ kind: "hosts", hosts: [] });
  });

  it("never more hosts than are tried, none twice, and none behind a worse one", () => {
    const host = fc.constantFrom("a.test", "b.test", "c.test", "d.test", "e.test", "f.test", "g.test", "us.test");
    const list = fc.array(fc.record({ exchange: host, priority: fc.integer({ min: 0, max: 3 }) }), { maxLength: 20 });
    fc.assert(
      fc.property(list, fc.double({ min: 0, max: 0.999, noNaN: true }), (mx, lot) => {
        const order = orderMx(mx, new Set(["us.test"]), () => lot);
        if (order.kind !== "hosts") return;
        const best = order.hosts.map((name) =>
          Math.min(...mx.filter(({ exchange }) => exchange === name).map(({ priority }) => priority)),
        );
        expect(order.hosts.length).toBeLessThanOrEqual(MAX_MX_HOSTS);
        expect(new Set(order.hosts).size).toBe(order.hosts.length);
        expect(order.hosts).not.toContain("us.test");
        expect(best).toEqual([...best].sort((a, b) => a - b));
      }),
    );
  });
});
