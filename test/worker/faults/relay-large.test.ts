/** The gateway between us and the origin breaks, or falls silent, in the midst of a large message. */
import { TUNNEL_FRAME_BYTES, TUNNEL_WINDOW } from "../../../src/core/limits.ts";
import { matrix } from "./matrix.ts";
import { receiving } from "./receiving.ts";
import { RELAY, THROUGH } from "./relay.ts";

/** Streams, and fills the window of the tunnel twice. */
const LARGE = 1_100_000;
const OCTETS = "relay: octets of a message";
/** Behind the trace headers: the first, the first that waits for the window, and one behind it. */
const PIECES = [2, 2 + TUNNEL_WINDOW / TUNNEL_FRAME_BYTES, 16];

matrix(
  "through a gateway; covered, a large message",
  receiving({ ...THROUGH, way: "the gateway", to: ["ann"], holders: ["ann"], size: LARGE }),
  { ...RELAY, only: ({ name, nth }) => name === OCTETS && PIECES.includes(nth) },
);
