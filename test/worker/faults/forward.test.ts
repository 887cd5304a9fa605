/** Mail that Email Routing forwards: `message.forward()` fails, or what it stands beside. */

import { matrix } from "./matrix.ts";
import { receiving } from "./receiving.ts";
import { FORWARDING } from "./scene.ts";

const FORWARDED = { transport: "forward", way: "Email Routing", taking: FORWARDING, ours: true } as const;
const COVERED = { ...FORWARDED, to: ["ann"], holders: ["ann"] } as const;
/** Not held in memory to be sent over SMTP instead. */
const LARGE = 1_200_000;
const WAITS = ["receive/budget.ts"];
const ONLY = { waits: WAITS, only: ({ name }: { readonly name: string }) => name === FORWARDING };

const BESIDE = /^domain's object: |^R2: put|^D1 shard \d: (?:batch )?writes/;
matrix("forwarded by Email Routing; covered", receiving(COVERED), {
  waits: WAITS,
  only: ({ name }) => name === FORWARDING || BESIDE.test(name),
});
matrix("forwarded by Email Routing; not covered", receiving({ ...FORWARDED, to: ["dan"], holders: [] }), ONLY);
matrix("forwarded by Email Routing; covered, a large message", receiving({ ...COVERED, size: LARGE }), ONLY);
matrix(
  "forwarded by Email Routing; covered, the origin's SMTP server is out of reach",
  receiving({ ...COVERED, origin: "down", ours: false }),
  ONLY,
);
