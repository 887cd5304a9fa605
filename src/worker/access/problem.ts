/** RFC 9457 problem details: the one shape of every error, for scripts as JSON and for pages as text. */
import type { Context } from "hono";
import type { QueryProblem } from "../../core/query/prepare.ts";

export type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 | 500 | 503;

export interface FieldError {
  /** Dotted path of the setting, such as `origin.port`; of an import also `line`. */
  readonly field: string;
  /** What is wrong and what to do. */
  readonly message: string;
  /** Of an import: the line, counted from 1. */
  readonly line?: number;
}

export interface Problem {
  readonly status: ProblemStatus;
  /** For programs; stays the same when the words change. */
  readonly code: string;
  /** For people; a sentence. Nothing secret. */
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  /** Messages that wait, where they are what is in the way. */
  readonly waiting?: number;
  /** Seconds. */
  readonly retryAfter?: number;
}

const TITLES: Record<ProblemStatus, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

export const titleOf = (status: ProblemStatus): string => TITLES[status];

export function problemResponse(c: Context, problem: Problem) {
  const { status, code, detail, errors, waiting, retryAfter } = problem;
  const body = {
    type: "about:blank",
    title: TITLES[status],
    status,
    code,
    detail,
    ...(errors && { errors: [...errors] }),
    ...(waiting !== undefined && { waiting }),
  };
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (status === 401) headers["www-authenticate"] = 'Bearer realm="holdfast"';
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  return c.json(body, status, headers);
}

/** A setting that cannot be: the detail says so, and the field is named for programs. */
export function invalid(field: string, message: string): Problem {
  return invalidFields([{ field, message }]);
}

export function invalidFields(errors: readonly FieldError[]): Problem {
  const where = ({ field, message, line }: FieldError): string =>
    `${line === undefined ? "" : `line ${line}: `}${field === "" ? "" : `${field}: `}${message}`;
  const shown = errors.slice(0, 5).map(where).join("; ");
  const more = errors.length > 5 ? `; and ${errors.length - 5} more` : "";
  return { status: 422, code: "invalid", detail: `${shown}${more}`, errors };
}

/** A search that cannot be: the sentence says itself which of the words it is about. */
export function unsearchable({ message }: QueryProblem): Problem {
  return { ...invalid("q", message), detail: message };
}

export const NOT_SIGNED_IN: Problem = { status: 401, code: "not_signed_in", detail: "Sign in first." };
export const FORBIDDEN: Problem = { status: 403, code: "forbidden", detail: "Your login may not do this." };

/** @param what such as `domain example.org`; the same words whether it does not exist or is somebody else's */
export function notFound(what: string): Problem {
  return { status: 404, code: "not_found", detail: `There is no ${what}.` };
}

export function unavailable(detail: string): Problem {
  return { status: 503, code: "unavailable", detail, retryAfter: 5 };
}
