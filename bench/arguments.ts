/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";

export const NAMES = ["costs", "receiving", "failback", "sending", "memory", "growth", "mailbox", "push"] as const;
export type Name = (typeof NAMES)[number];

export interface Arguments {
  readonly json: boolean;
  readonly names: readonly Name[];
  /** Messages of the failback, the sending, the receiving and the push benchmark. */
  readonly messages: number;
  /** Round trips of the failback and the sending benchmark, milliseconds. */
  readonly latencies: readonly number[];
  /** Stored messages at which growth is measured; null: as each benchmark has them. */
  readonly sizes: readonly number[] | null;
}

/** The corpus has not many more. */
const MOST_MESSAGES = 5_000;

/** @throws with a sentence that says what to do */
export function parseArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      messages: { type: "string", default: String(MOST_MESSAGES) },
      latency: { type: "string", default: "20,100,0" },
      sizes: { type: "string" },
    },
  });
  const names = values.only.map((name) => {
    const known = NAMES.find((one) => one === name);
    if (!known) throw new Error(`--only takes one of ${NAMES.join(", ")}, not ${JSON.stringify(name)}.`);
    return known;
  });
  return {
    json: values.json,
    names: names.length > 0 ? names : NAMES,
    messages: whole("--messages", values.messages, 1, MOST_MESSAGES),
    latencies: values.latency.split(",").map((one) => whole("--latency", one, 0, 1_000)),
    sizes: values.sizes?.split(",").map((one) => whole("--sizes", one, 1_000, 1_000_000)) ?? null,
  };
}

function whole(option: string, text: string, min: number, max: number): number {
  const number = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new Error(`${option} takes whole numbers from ${min} to ${max}, not ${JSON.stringify(text)}.`);
}
