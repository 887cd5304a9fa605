/** What every resource of the API is made with. */
import { OpenAPIHono, z } from "@hono/zod-openapi";
import { DEFAULT_PAGE, MAX_PAGE } from "../../../core/limits.ts";
import type { AppEnv } from "../context.ts";
import { invalidFields, problemResponse } from "../problem.ts";
import { fieldErrors } from "../validation.ts";

export type Api = OpenAPIHono<AppEnv>;

export function newApi(): Api {
  return new OpenAPIHono<AppEnv>({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      const problem = invalidFields(fieldErrors(result.error));
      return problemResponse(c, { ...problem, status: result.target === "json" ? 422 : 400 });
    },
  });
}

export const ProblemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().openapi({ description: "For programs; stays the same when the words change." }),
    detail: z.string(),
    errors: z.array(z.object({ field: z.string(), message: z.string(), line: z.int().optional() })).optional(),
    waiting: z.int().optional().openapi({ description: "Messages that wait for the mail server." }),
  })
  .openapi("Problem");

const problem = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: ProblemSchema } },
});

/** Described one by one; to the compiler a handler may answer any of them. */
export const PROBLEMS = {
  400: problem("The path or query cannot be."),
  401: problem("Nobody is signed in."),
  403: problem("The login may not do this."),
  404: problem("There is none, or it is somebody else's."),
  409: problem("Something is in the way; nothing was changed."),
  422: problem("The body cannot be; `errors` names each field."),
  503: problem("A part of the service does not answer; try again."),
} as unknown as { default: ReturnType<typeof problem> };

export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

export const body = <T extends z.ZodType>(schema: T) => ({
  required: true,
  content: { "application/json": { schema } },
});

/** Of a request for octets. */
export const RangeHeader = z.object({ range: z.string().optional().openapi({ example: "bytes=0-4095" }) });

const octets = (type: string, description: string) => ({
  description,
  content: { [type]: { schema: z.string().openapi({ format: "binary" }) } },
});

/** Answers to a request for octets: all, or the range that it names (RFC 9110 §14). */
export const octetsOf = (type: string) => ({
  200: octets(type, "The octets."),
  206: octets(type, "The range that was asked for."),
  416: { description: "The range lies behind the end; Content-Range says how many octets there are." },
});

/** @param item what a list holds */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    next: z.string().nullable().openapi({ description: "The cursor of the next page; null: this is the last." }),
  });

/** Of what a search answers, for a while after an upgrade. */
export const SEARCHABLE = {
  searchableSince: z.iso.datetime().optional().openapi({
    description: "Older mail is not found yet: its index is being renewed after an upgrade. Absent: all mail is found.",
  }),
};

export const searchable = (since: number | null): { searchableSince?: string } =>
  since === null ? {} : { searchableSince: instant(since) };

const LIMIT = `must be a whole number from 1 to ${MAX_PAGE}`;

export const PageQuery = z.strictObject({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number(LIMIT).int(LIMIT).min(1, LIMIT).max(MAX_PAGE, LIMIT).default(DEFAULT_PAGE),
});

export const DomainPath = z.object({
  domain: z.string().openapi({ example: "example.org", description: "U-labels or A-labels, in any case." }),
});

/** One more than the page tells whether there is a next one. */
export function cut<T>(
  rows: readonly T[],
  limit: number,
  cursor: (last: T) => string,
): { items: T[]; next: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? cursor(last) : null };
}

/** Times leave as RFC 3339. @param at unix milliseconds */
export const instant = (at: number): string => new Date(at).toISOString();
