/** Starts what tests in workerd cannot: the control server of the fake origins, and a gateway. */
import type { TestProject } from "vitest/node";
import type {} from "./origin-behaviour.ts";
import { startOriginControl } from "./origin-control-server.ts";
import { startRelayProcess } from "./relay-process.ts";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const control = await startOriginControl();
  const relay = await startRelayProcess("g1:secret-of-the-tests");
  project.provide("originControlPort", control.port);
  project.provide("relayPort", relay.port);
  return async () => {
    await relay.close();
    await control.close();
  };
}
