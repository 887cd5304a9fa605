/** Receiving with more than one small message to one mailbox: large ones, several recipients, repeats, an object that is away. */
import { matrix } from "./matrix.ts";
import { receiving } from "./receiving.ts";

/** Streams: beyond what is held whole. */
const LARGE = { to: ["ann"], holders: ["ann"], size: 1_200_000 } as const;

matrix("a large message, the origin accepts", receiving({ ...LARGE, way: "Email Routing" }));
matrix("a large message, the origin is out of reach", receiving({ ...LARGE, way: "Email Routing", origin: "down" }));
matrix(
  "two recipients in one transaction, the origin accepts",
  receiving({ way: "the gateway", to: ["ann", "bob"], holders: ["ann", "bob"] }),
);
matrix(
  "two recipients in one transaction, emergency mode",
  receiving({ way: "the gateway", to: ["ann", "bob"], holders: ["ann", "bob"], mode: "emergency", origin: "down" }),
);
matrix(
  "an alias of two mailboxes, the origin is out of reach",
  receiving({ way: "Email Routing", to: ["info"], holders: ["ann", "bob"], origin: "down" }),
);
matrix(
  "a repeat of what the origin has",
  receiving({ way: "Email Routing", to: ["ann"], holders: ["ann"], repeat: true }),
);
matrix(
  "a repeat of what waits in the portal",
  receiving({ way: "Email Routing", to: ["ann"], holders: ["ann"], repeat: true, mode: "emergency", origin: "down" }),
);
