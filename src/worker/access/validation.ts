/** From the schema's complaints to sentences that name the setting. */
import type { z } from "@hono/zod-openapi";
import type { FieldError } from "./problem.ts";

type Issue = z.core.$ZodIssue;

export function fieldErrors(error: z.core.$ZodError): FieldError[] {
  return error.issues.flatMap((issue) => describe(issue));
}

function describe(issue: Issue): FieldError[] {
  const at = (...more: PropertyKey[]): string => [...issue.path, ...more].map(String).join(".");
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ field: at(key), message: "unknown setting" }));
    case "invalid_value":
      return [{ field: at(), message: `must be ${list(issue.values.map(String))}` }];
    case "invalid_type":
      return [
        {
          field: at(),
          message: isMissing(issue) ? "is missing" : (ownWords(issue) ?? `must be ${named(issue.expected)}`),
        },
      ];
    case "too_small":
      return [{ field: at(), message: ownWords(issue) ?? `must be at least ${issue.minimum}${unit(issue.origin)}` }];
    case "too_big":
      return [{ field: at(), message: ownWords(issue) ?? `must be at most ${issue.maximum}${unit(issue.origin)}` }];
    default:
      return [{ field: at(), message: issue.message }];
  }
}

/** A schema that says it better than the kind of error does. */
function ownWords(issue: Issue): string | null {
  return /^Too (small|big)|^Invalid/.test(issue.message) ? null : issue.message;
}

const isMissing = (issue: Issue): boolean => issue.message.endsWith("received undefined");
const unit = (origin: string): string => (origin === "string" ? " characters" : origin === "array" ? " entries" : "");
const list = (values: string[]): string => (values.length === 1 ? `${values[0]}` : `one of: ${values.join(", ")}`);

function named(expected: string): string {
  switch (expected) {
    case "boolean":
      return "true or false";
    case "object":
      return "an object";
    case "array":
      return "a list";
    case "number":
    case "int":
      return "a whole number";
    case "string":
      return "a text";
    default:
      return `of the type ${expected}`;
  }
}
