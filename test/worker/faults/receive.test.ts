/** Receiving a small message: each row of the table, each call that it makes, each way to fail. */
import { matrix } from "./matrix.ts";
import { receiving } from "./receiving.ts";

const COVERED = { to: ["ann"], holders: ["ann"] } as const;
const UNCOVERED = { to: ["dan"], holders: [] } as const;
const REFUSING = { steps: { final: "554 5.7.1 we do not want this" } };
const BUSY = { steps: { rcpt: "451 4.3.2 later" } };

matrix("normal mode, covered, the origin accepts", receiving({ ...COVERED, way: "Email Routing" }));
matrix(
  "normal mode, covered, the origin refuses",
  receiving({ ...COVERED, way: "Email Routing", origin: REFUSING, refusal: "554 5.7.1 we do not want this" }),
);
matrix(
  "normal mode, covered, the origin is out of reach",
  receiving({ ...COVERED, way: "Email Routing", origin: "down" }),
);
matrix("normal mode, covered, the origin defers", receiving({ ...COVERED, way: "the gateway", origin: BUSY }));
matrix("normal mode, not covered, the origin accepts", receiving({ ...UNCOVERED, way: "Email Routing" }));
matrix(
  "normal mode, not covered, the origin is out of reach",
  receiving({ ...UNCOVERED, way: "the gateway", origin: "down" }),
);
matrix("emergency mode, covered", receiving({ ...COVERED, way: "Email Routing", mode: "emergency", origin: "down" }));
matrix(
  "emergency mode, registered but not covered",
  receiving({ ...UNCOVERED, way: "the gateway", mode: "emergency", origin: "down" }),
);
