/**
 * What the cells of the gateway's tunnel have in common. A file each: the tunnels that a cell left waiting are waited for still,
 * and with their limits hurried they would keep the isolate busy for the cells behind them.
 */
import type { Call } from "./injector.ts";
import "./relay-socket.ts";

/**
 * How many replies come in one frame, to be acknowledged at once, is a matter of chance where commands go out together; one
 * acknowledgement is like the other.
 */
const ofRelay = ({ name, nth }: Call): boolean => name.startsWith("relay: ") && (name !== "relay: ack" || nth === 1);
export const RELAY = { only: ofRelay, waits: ["deliver/tunnel.ts", "deliver/gateways.ts"], more: 0 };
export const FINAL_DOT = "relay: octets .";
export const THROUGH = { transport: "gateway", ours: true, taking: FINAL_DOT } as const;
