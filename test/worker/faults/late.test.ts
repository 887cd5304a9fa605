/** An origin that answers the final dot later than the sender waits (decision 009): who holds the message, and is told of it, fails. */
import { comeLate, HELD } from "./late.ts";
import { matrix } from "./matrix.ts";
import { receiving } from "./receiving.ts";

/** Before these all is as in any transaction. */
const FROM_THE_DOT = /^domain's object: (?:hold|settleFinal|report)$|^R2: put|^D1 shard \d: (?:batch )?writes/;

matrix(
  "the origin answers the final dot late; a gateway's transaction waits",
  receiving({ to: ["ann"], holders: ["ann"], way: "the gateway", origin: HELD, first: comeLate }),
  { only: ({ name }) => FROM_THE_DOT.test(name) },
);
