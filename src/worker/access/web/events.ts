/** An event of the log in words. What is not known here is shown as it is. */
import type { NewEvent } from "../../domain/contract.ts";

export function describeEvent({ kind, data }: NewEvent): string {
  const facts = Object.entries(data)
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => `${words(name)} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`);
  return [capitalised(words(kind)), facts.join(", ")].filter(Boolean).join(": ");
}

/** `mode_changed` and `modeChanged` alike. */
const words = (name: string): string =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
