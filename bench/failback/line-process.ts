/**
 * A long line, in a process of its own: what goes over it arrives half a round trip later, each way, and its connections take
 * one and a half round trips more to open, as a TCP handshake does. Arguments: the port to go on to, the round trip in
 * milliseconds.
 */
import { connect, createServer, type Socket } from "node:net";

const [target = 0, roundTrip = 0] = process.argv.slice(2).map(Number);

/** Timers of one length fire in the order in which they were set, so octets stay in order. */
function later(milliseconds: number, act: () => void): void {
  if (milliseconds === 0) act();
  else setTimeout(act, milliseconds);
}

function carry(from: Socket, to: Socket): void {
  from.on("data", (octets) => later(roundTrip / 2, () => to.writable && to.write(octets)));
  from.on("end", () => later(roundTrip / 2, () => to.end()));
  from.on("close", () => later(roundTrip / 2, () => to.destroySoon()));
  // A broken connection shows at the other end as its end.
  from.on("error", () => undefined);
}

const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
  client.on("error", () => undefined);
  later(roundTrip * 1.5, () => {
    const onward = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    carry(client, onward);
    carry(onward, client);
    client.resume();
  });
});

server.listen({ port: 0, host: "127.0.0.1", backlog: 1000 }, () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.send?.({ port: address.port });
});
process.once("disconnect", () => process.exit(0));
