/** The gateway between us and the origin breaks, or falls silent, at each thing that the Worker says to it: mail that comes. */
import { matrix } from "./matrix.ts";
import { receiving } from "./receiving.ts";
import { RELAY, THROUGH } from "./relay.ts";

matrix(
  "through a gateway with STARTTLS and AUTH; covered, the origin accepts",
  receiving({ ...THROUGH, way: "Email Routing", to: ["ann"], holders: ["ann"], secure: true }),
  RELAY,
);
matrix(
  "through a gateway; not covered, the origin accepts",
  receiving({ ...THROUGH, way: "the gateway", to: ["dan"], holders: [] }),
  RELAY,
);
