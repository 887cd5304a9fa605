/** A keeper has the connection to a slow origin in the stead of email() (decision 009): each call of it fails. */
import { comeLate, HELD } from "./late.ts";
import { matrix } from "./matrix.ts";
import { receiving } from "./receiving.ts";

const KEPT = { to: ["ann"], holders: ["ann"], way: "Email Routing", slow: true } as const;
/** Before these all is as where the origin answers in time. */
const FROM_THE_DOT = /^keeper: (?:finish|keep|close)$|^domain's object: (?:hold|settleFinal)$/;

// The final dot, which can come late here too, is the other table's.
matrix("a keeper connects, and the origin answers in time", receiving({ ...KEPT, ours: true }), {
  only: ({ name }) => name.startsWith("keeper: ") && name !== "keeper: finish",
  waits: ["receive/budget.ts"],
});
matrix("the origin answers the final dot late; a keeper waits", receiving({ ...KEPT, origin: HELD, first: comeLate }), {
  only: ({ name }) => FROM_THE_DOT.test(name),
});
