/**
 * A keeper (decision 009) hangs up because it has heard nothing for a minute: the Worker was held up between two steps.
 * Apart from keeper.test.ts: its keepers wait still, and with their limits hurried they would keep the isolate busy.
 */
import { hasten } from "./haste.ts";
import { beforeEachCall } from "./injector.ts";
import { table } from "./matrix.ts";
import { receiving } from "./receiving.ts";

const KEPT = { to: ["ann"], holders: ["ann"], way: "Email Routing", slow: true } as const;
const STEPS = ["mail", "rcpt", "data", "write", "finish"];
const COLUMN = "before the Worker's next step";
table(
  "a keeper hears nothing for a minute, and hangs up",
  [COLUMN],
  STEPS.map((step) => ({ row: `keeper: ${step}`, column: COLUMN, play: () => hungUp(step) })),
);

/** Milliseconds: the keeper's limit comes at once then. */
const PAUSE = 200;

/** The Worker was held up by a store for longer than a keeper waits for its next step. */
async function hungUp(step: string): Promise<string> {
  const scenario = receiving({ ...KEPT, ours: true });
  const idle = hasten(["deliver/keeper.ts"], 0, false, 0);
  beforeEachCall(async (name) => {
    if (name !== `keeper: ${step}`) return;
    idle.hurry();
    await scheduler.wait(PAUSE);
  });
  try {
    return await scenario({ call: "", fault: null, run: async (work) => void (await work()) });
  } finally {
    beforeEachCall(null);
    idle.end();
  }
}
