/** The mode machine's types; the machine itself follows. */
export type Mode = "normal" | "emergency";

/** What people and pages see of the machine. */
export interface ModeView {
  readonly mode: Mode;
  /** Unix milliseconds. */
  readonly since: number;
  /** In words: who or what changed it, such as `3 failed probes in 16 s: connect, no_connection`. */
  readonly cause: string;
  readonly switching: "manual" | "automatic";
  /** A person's choice, which wins over the automatism until it is released. */
  readonly choice: { readonly mode: Mode; readonly actor: string; readonly at: number } | null;
  /** There is evidence against the origin that has not been settled. */
  readonly doubt: boolean;
  /** Since when probes have been good without a break; null where they are not. */
  readonly goodSince: number | null;
}
