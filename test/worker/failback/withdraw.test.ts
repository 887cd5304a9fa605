/** A person acts on what waits: what redelivery is told, whatever becomes of the act. */
import { describe, expect, it, vi } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import type { Taken } from "../../../src/worker/failback/fates.ts";
import { withdrawn } from "../../../src/worker/failback/withdraw.ts";
import { DeadlineError } from "../../../src/worker/store/deadline.ts";

const FLIGHTS = ["object\nann@example.org"];
const TAKEN: Taken[] = [{ flight: FLIGHTS[0] ?? "", account: 1, how: "kept" }];

function object(withdraw: () => Promise<string[]> = async () => []) {
  const settled: unknown[] = [];
  const stub = {
    withdraw,
    settle: async (...given: unknown[]) => {
      settled.push(given);
    },
  };
  return { settled, env: { DOMAIN: { getByName: () => stub } } as unknown as Env };
}

describe("an act on a message that waits", () => {
  it("that is done is told with what became of each copy", async () => {
    const { env, settled } = object();
    const done = await withdrawn(
      env,
      "example.org",
      FLIGHTS,
      async () => "moved",
      () => TAKEN,
    );
    expect(done).toEqual({ kind: "done", value: "moved" });
    expect(settled).toEqual([[FLIGHTS, TAKEN]]);
  });

  it("that has failed leaves the message waiting: redelivery may have it again at once", async () => {
    const { env, settled } = object();
    const failing = withdrawn(
      env,
      "example.org",
      FLIGHTS,
      () => Promise.reject(new Error("no")),
      () => TAKEN,
    );
    await expect(failing).rejects.toThrow("no");
    expect(settled).toEqual([[FLIGHTS, []]]);
  });

  it("of which nobody knows whether it is done keeps redelivery away until it can be seen", async () => {
    const { env, settled } = object();
    const late = () => Promise.reject(new DeadlineError("no answer within 5000 ms"));
    await expect(withdrawn(env, "example.org", FLIGHTS, late, () => TAKEN)).rejects.toThrow(DeadlineError);
    expect(settled).toEqual([]);
  });

  it("is not begun while the message is being sent, nor where redelivery does not answer", async () => {
    const act = vi.fn(async () => "moved");
    const sending = object(async () => FLIGHTS);
    expect(await withdrawn(sending.env, "example.org", FLIGHTS, act, () => TAKEN)).toEqual({
      kind: "sending",
      flights: FLIGHTS,
    });
    const down = object(() => Promise.reject(new Error("down")));
    expect(await withdrawn(down.env, "example.org", FLIGHTS, act, () => TAKEN)).toEqual({ kind: "unreachable" });
    expect(act).not.toHaveBeenCalled();
  });

  it("on mail that does not wait asks nobody", async () => {
    const { env, settled } = object(() => Promise.reject(new Error("asked")));
    expect(
      await withdrawn(
        env,
        "example.org",
        [],
        async () => "moved",
        () => TAKEN,
      ),
    ).toEqual({
      kind: "done",
      value: "moved",
    });
    expect(settled).toEqual([]);
  });
});
