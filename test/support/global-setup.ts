/** Starts the control server of the fake origins for the tests that run in workerd. */
import type { TestProject } from "vitest/node";
import type {} from "./origin-behaviour.ts";
import { startOriginControl } from "./origin-control-server.ts";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const control = await startOriginControl();
  project.provide("originControlPort", control.port);
  return () => control.close();
}
