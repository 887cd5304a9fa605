/**
 * What a message does at the bindings, for each row of the table. The tests count it (test/worker/costs.test.ts) and fail where
 * it is not exactly so; the benchmark multiplies it with the list prices. A change that makes a message dearer changes it here.
 */

export interface Operations {
  /** R2: put, list. */
  readonly classA: number;
  /** R2: get, head. */
  readonly classB: number;
  /** D1, all databases. */
  readonly rowsWritten: number;
  /** Calls of a Durable Object. */
  readonly objectRequests: number;
}

export interface Row {
  readonly what: string;
  readonly operations: Operations;
  /** It stays in R2 and in the index until the archive's time is over, and is purged then. */
  readonly stored: boolean;
}

const nothing: Operations = { classA: 0, classB: 0, rowsWritten: 0, objectRequests: 1 };

export const ROWS = {
  normal: {
    what: "normal, covered, the origin says 250",
    operations: { classA: 1, classB: 0, rowsWritten: 5, objectRequests: 1 },
    stored: true,
  },
  normalRefusedAtRcpt: { what: "normal, covered, the origin says 5xx to RCPT", operations: nothing, stored: false },
  normalRefused: {
    what: "normal, covered, the origin says 5xx to the final dot",
    operations: { classA: 1, classB: 0, rowsWritten: 0, objectRequests: 1 },
    stored: false,
  },
  normalUnavailable: {
    what: "normal, covered, the origin is unavailable",
    operations: { classA: 1, classB: 0, rowsWritten: 12, objectRequests: 3 },
    stored: true,
  },
  uncovered: { what: "normal, not covered, the origin says 250 or 5xx", operations: nothing, stored: false },
  uncoveredUnavailable: {
    what: "normal, not covered, the origin is unavailable",
    operations: { ...nothing, objectRequests: 2 },
    stored: false,
  },
  emergency: {
    what: "emergency, covered",
    operations: { classA: 1, classB: 0, rowsWritten: 12, objectRequests: 1 },
    stored: true,
  },
  repeat: { what: "emergency, a repeat", operations: nothing, stored: false },
  emergencyUncovered: { what: "emergency, not covered or unknown", operations: nothing, stored: false },
} as const satisfies Record<string, Row>;

/** D1 rows written, once in a message's life. */
export const PURGE_ROWS = 2;
/** Giving one message back: D1 rows written, and its octets read once. */
export const FAILBACK: Operations = { classA: 0, classB: 1, rowsWritten: 4, objectRequests: 0 };
