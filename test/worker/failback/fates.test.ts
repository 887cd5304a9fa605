/** What a domain's object remembers of settled messages, for how long, and what it costs. */
import { runInDurableObject } from "cloudflare:test";
import { ulid } from "ulidx";
import { expect, it } from "vitest";
import { openDatabase } from "../../../src/worker/domain/database.ts";
import { copyKey, Fates } from "../../../src/worker/failback/fates.ts";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { NOON, TestDomain } from "../domain/fixture.ts";

const DAY = 24 * 3600_000;

async function withFates(act: (fates: Fates, storage: DurableObjectStorage) => void): Promise<void> {
  const domain = await TestDomain.create({ switching: "manual" });
  await domain.start();
  await runInDurableObject(domain.object, (_object, state) =>
    act(new Fates(openDatabase(state.storage)), state.storage),
  );
}
const flightOf = (at: number) => flightKey(`archive/any/${ulid(at)}`, "ann@example.org");

it("a settled message is remembered as long as its octets can be there, and not longer", () =>
  withFates((fates) => {
    const flight = flightOf(NOON);
    fates.note([flight], "delivered", NOON + DAY);
    fates.clean(NOON + 92 * DAY);
    expect(fates.isDelivered(flight)).toBe(true);
    fates.clean(NOON + 94 * DAY);
    expect(fates.of([flight])).toEqual({});
  }));

it("what became of a message that retention has copied is remembered for good", () =>
  withFates((fates) => {
    const flight = flightOf(NOON);
    fates.taken([{ flight, account: 7, how: "removed" }], NOON + 86 * DAY);
    fates.clean(NOON + 1000 * DAY);
    expect(fates.of([flight])).toEqual({ [copyKey(flight, 7)]: { state: "removed", reply: null } });
  }));

it("each message is told of with its own mailboxes alone, and what comes later counts", () =>
  withFates((fates) => {
    const [one, other] = [flightOf(NOON), `${flightOf(NOON)}.test`];
    fates.note([one, other], "waiting", NOON);
    fates.note([one], "refused", NOON + 1, "{}");
    expect(fates.of([one])).toEqual({ [one]: { state: "refused", reply: "{}" } });
  }));

it("one row is written for each", () =>
  withFates((_fates, { sql }) => {
    const cursor = sql.exec("INSERT INTO fate (key, state, at) VALUES ('k', 'delivered', 1)");
    cursor.toArray();
    expect(cursor.rowsWritten).toBe(1);
  }));
