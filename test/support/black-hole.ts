/** A port that takes no connection: to a SYN there is no answer at all, as from a machine without power. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";

/** The process stops itself before it could accept; a queue of length 1 holds two connections (listen(2)). */
const LISTENER = `
const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
  require("node:fs").writeSync(1, String(server.address().port));
  process.kill(process.pid, "SIGSTOP");
});`;
const QUEUE = 2;

export interface BlackHole {
  readonly port: number;
  close(): Promise<void>;
}

export async function blackHole(): Promise<BlackHole> {
  const child = spawn(process.execPath, ["-e", LISTENER], { stdio: ["ignore", "pipe", "inherit"] });
  const [octets] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(octets.toString());
  const queued = Array.from({ length: QUEUE }, () => connect(port, "127.0.0.1"));
  await Promise.all(queued.map((socket) => once(socket, "connect")));
  return {
    port,
    async close() {
      // The end of the process resets what is queued.
      for (const socket of queued) socket.on("error", () => socket.destroy());
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
      for (const socket of queued) socket.destroy();
    },
  };
}
