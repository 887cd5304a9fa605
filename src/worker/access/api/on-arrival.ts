/** What the signed-in user wants done with mail that arrives while the domain is in emergency mode: the vacation notice, forwarding. */
import { createRoute, z } from "@hono/zod-openapi";
import { CONFIRMATION_LIFE, MAX_NOTICE } from "../../../core/send/limits.ts";
import {
  askToForward,
  confirmAddress,
  type ForwardingRefusal,
  forwardingOf,
  forwardNoMore,
} from "../../person/forwarding.ts";
import { setVacation, vacationOf } from "../../person/vacation.ts";
import type { Forwarding, Vacation } from "../../store/on-arrival.ts";
import { withAuthor } from "../actions/person.ts";
import { problemOfSubmission } from "../actions/send.ts";
import { invalid, type Problem, problemResponse } from "../problem.ts";
import { body, instant, json, newApi, PROBLEMS } from "./api.ts";
import { userOf } from "./mail.ts";

const Time = z.iso.datetime({ offset: true }).nullable().default(null);
const Text = z.string().max(MAX_NOTICE).nullable().default(null);

const VacationSchema = z
  .strictObject({
    isEnabled: z.boolean(),
    fromDate: Time.openapi({ description: "Mail that arrives from then on is answered; null: at once." }),
    toDate: Time.openapi({ description: "And before then; null: for ever." }),
    subject: z
      .string()
      .max(500)
      .nullable()
      .default(null)
      .openapi({ description: "null: `Auto:` and the subject of what is answered." }),
    textBody: Text.openapi({ description: "null: made from the HTML." }),
    htmlBody: Text,
  })
  .openapi("VacationResponse");

const ForwardingSchema = z
  .object({
    address: z.string().nullable().openapi({ description: "Where copies go; null: nowhere." }),
    keep: z.literal(true).openapi({ description: "The messages themselves stay, and are given back afterwards." }),
    pending: z
      .object({ address: z.string(), expiresAt: z.iso.datetime() })
      .nullable()
      .openapi({ description: "An address to which a code was sent, and that nobody has confirmed yet." }),
  })
  .openapi("Forwarding");

export const onArrivalApi = newApi();

onArrivalApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/vacation",
    tags: ["mail"],
    summary: "The vacation notice",
    responses: { 200: json(VacationSchema, "As it is."), ...PROBLEMS },
  }),
  async (c) => c.json(vacationView(await vacationOf(c.env, userOf(c))), 200),
);

onArrivalApi.openapi(
  createRoute({
    method: "put",
    path: "/api/mail/vacation",
    tags: ["mail"],
    summary:
      "Set the vacation notice: sent while the domain is in emergency mode, to each sender once in seven days, and anew when its words change",
    request: { body: body(VacationSchema) },
    responses: { 200: json(VacationSchema, "As it is now."), ...PROBLEMS },
  }),
  async (c) => {
    const { fromDate, toDate, ...words } = c.req.valid("json");
    const wanted = { ...words, fromDate: timeOf(fromDate), toDate: timeOf(toDate) };
    const set = await setVacation(c.env, userOf(c), wanted);
    if (!set.ok) return problemResponse(c, invalid(set.error.field, set.error.message));
    return c.json(vacationView(set.value), 200);
  },
);

onArrivalApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/forwarding",
    tags: ["mail"],
    summary: "The private address to which mail that arrives in emergency mode is sent on",
    responses: { 200: json(ForwardingSchema, "As it is."), ...PROBLEMS },
  }),
  (c) => withAuthor(c, userOf(c), async (author) => c.json(forwardingView(await forwardingOf(c.env, author)), 200)),
);

onArrivalApi.openapi(
  createRoute({
    method: "put",
    path: "/api/mail/forwarding",
    tags: ["mail"],
    summary: "Have a code sent to a private address; or, with null, send nothing on any more",
    request: {
      body: body(z.strictObject({ address: z.string().max(320).nullable(), keep: z.literal(true).optional() })),
    },
    responses: { 200: json(ForwardingSchema, "Until the code is confirmed all stays as it was."), ...PROBLEMS },
  }),
  (c) =>
    withAuthor(c, userOf(c), async (author) => {
      const { address } = c.req.valid("json");
      if (address === null) return c.json(forwardingView(await forwardNoMore(c.env, author)), 200);
      const asked = await askToForward(c.env, c.executionCtx, author, address, Date.now());
      return asked.ok ? c.json(forwardingView(asked.value), 200) : problemResponse(c, problemOf(asked.error));
    }),
);

onArrivalApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/forwarding/confirm",
    tags: ["mail"],
    summary: "Confirm the private address by the code that was sent to it",
    request: { body: body(z.strictObject({ code: z.string().max(100) })) },
    responses: { 200: json(ForwardingSchema, "It is in force."), ...PROBLEMS },
  }),
  (c) =>
    withAuthor(c, userOf(c), async (author) => {
      const confirmed = await confirmAddress(c.env, author, c.req.valid("json").code, Date.now());
      return confirmed.ok
        ? c.json(forwardingView(confirmed.value), 200)
        : problemResponse(c, problemOf(confirmed.error));
    }),
);

const timeOf = (text: string | null): number | null => (text === null ? null : Date.parse(text));
const dateOf = (at: number | null): string | null => (at === null ? null : instant(at));

function vacationView({ fromDate, toDate, ...words }: Vacation): z.infer<typeof VacationSchema> {
  return { ...words, fromDate: dateOf(fromDate), toDate: dateOf(toDate) };
}

function forwardingView({ address, asked }: Forwarding): z.infer<typeof ForwardingSchema> {
  const pending = asked && { address: asked.address, expiresAt: instant(asked.at + CONFIRMATION_LIFE) };
  return { address, keep: true, pending };
}

function problemOf(refusal: ForwardingRefusal): Problem {
  switch (refusal.reason) {
    case "bad_address":
    case "own_domain":
      return { ...invalid("address", refusal.detail), code: refusal.reason, detail: refusal.detail };
    case "bad_code":
      return { ...invalid("code", refusal.detail), code: refusal.reason, detail: refusal.detail };
    default:
      return problemOfSubmission(refusal);
  }
}
