/** A domain's outgoing mail: its queue, who may not send, and the keys that sign it. */
import { createRoute, z } from "@hono/zod-openapi";
import { formatReply } from "../../../core/outcome.ts";
import {
  cancel,
  countQueue,
  cursorOf,
  listQueue,
  listStops,
  type QueuedOn,
  queueId,
  readCursor,
  releaseMailbox,
  retry,
  stopMailbox,
} from "../actions/queue.ts";
import { principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { cut, DomainPath, instant, json, newApi, PageQuery, PROBLEMS, page } from "./api.ts";

const QueuedSchema = z
  .object({
    id: z.string(),
    message: z.string().openapi({ description: "The message, which may have several recipients in the queue." }),
    writer: z.string(),
    sender: z.string().openapi({ description: "Of the envelope; empty: none." }),
    recipient: z.string(),
    subject: z.string(),
    state: z.enum(["waiting", "delivered", "refused", "expired", "cancelled"]).openapi({
      description: "`waiting`: it is tried again; the others: its sender is still to be told.",
    }),
    attempts: z.int(),
    createdAt: z.iso.datetime(),
    next: z.iso.datetime().nullable(),
    reply: z.string().nullable().openapi({ description: "What the mail server said last, or why it was not reached." }),
  })
  .openapi("QueuedMessage");

function queuedView(row: QueuedOn): z.infer<typeof QueuedSchema> {
  const { message, recipient, state, attempts, dueAt, outcome } = row;
  const { facts, sender, subject, createdAt } = message;
  const why = outcome?.kind === "unavailable" ? (outcome.detail ?? outcome.reason) : null;
  return {
    id: queueId(row),
    message: facts.receipt.id,
    writer: facts.writer,
    sender,
    recipient,
    subject,
    state,
    attempts,
    createdAt: instant(createdAt),
    next: dueAt === null ? null : instant(dueAt),
    reply: outcome?.reply ? formatReply(outcome.reply) : why,
  };
}

export const outgoingApi = newApi();

outgoingApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/outgoing",
    tags: ["outgoing"],
    summary: "The queue: each recipient that a message has not reached yet, what is due first first",
    request: {
      params: DomainPath,
      query: PageQuery.extend({
        cursor: z
          .string()
          .refine((text) => readCursor(text) !== null, "is not a cursor of this list")
          .optional(),
      }),
    },
    responses: {
      200: json(
        page(QueuedSchema).extend({ waiting: z.int(), oldest: z.iso.datetime().nullable() }),
        "A page; `waiting`: of all recipients; `oldest`: when the first of their messages was accepted.",
      ),
      ...PROBLEMS,
    },
  }),
  async (c) => {
    const { cursor, limit } = c.req.valid("query");
    const after = cursor === undefined ? null : readCursor(cursor);
    const [rows, counts] = await Promise.all([
      listQueue(c.env, c.get("domain"), after, limit + 1),
      countQueue(c.env, c.get("domain")),
    ]);
    const { items, next } = cut(rows, limit, cursorOf);
    const oldest = counts.oldest === null ? null : instant(counts.oldest);
    return c.json({ items: items.map(queuedView), next, waiting: counts.waiting, oldest }, 200);
  },
);

const Retried = json(z.object({ retried: z.int() }), "How many were waiting for their next try.");

outgoingApi.openapi(
  createRoute({
    method: "post",
    path: "/api/domains/{domain}/outgoing/retry",
    tags: ["outgoing"],
    summary: "Try all of the queue now",
    request: { params: DomainPath },
    responses: { 200: Retried, ...PROBLEMS },
  }),
  async (c) => {
    const retried = await retry(c.env, c.get("domain"), null, Date.now());
    return retried.ok ? c.json({ retried: retried.value }, 200) : problemResponse(c, retried.error);
  },
);

const QueuedPath = DomainPath.extend({ id: z.string() });

outgoingApi.openapi(
  createRoute({
    method: "post",
    path: "/api/domains/{domain}/outgoing/{id}/retry",
    tags: ["outgoing"],
    summary: "Try one recipient now",
    request: { params: QueuedPath },
    responses: { 200: Retried, ...PROBLEMS },
  }),
  async (c) => {
    const retried = await retry(c.env, c.get("domain"), c.req.valid("param").id, Date.now());
    return retried.ok ? c.json({ retried: retried.value }, 200) : problemResponse(c, retried.error);
  },
);

outgoingApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/domains/{domain}/outgoing/{id}",
    tags: ["outgoing"],
    summary: "Take one recipient out of the queue",
    request: {
      params: QueuedPath,
      query: z.strictObject({
        tell: z.enum(["true", "false"]).default("true").openapi({ description: "Whether its sender hears of it." }),
      }),
    },
    responses: { 204: { description: "It is not sent any more." }, ...PROBLEMS },
  }),
  async (c) => {
    const { id } = c.req.valid("param");
    const tell = c.req.valid("query").tell === "true";
    const problem = await cancel(c.env, c.get("domain"), id, principalOf(c).name, tell);
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);

const StopSchema = z
  .object({ mailbox: z.string(), at: z.iso.datetime(), actor: z.string(), why: z.string() })
  .openapi("SendingStop");

outgoingApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/outgoing/stops",
    tags: ["outgoing"],
    summary: "The mailboxes that may not send: those that sent too much, and those that somebody stopped",
    request: { params: DomainPath },
    responses: { 200: json(z.object({ items: z.array(StopSchema) }), "All of them."), ...PROBLEMS },
  }),
  async (c) => {
    const stops = await listStops(c.env, c.get("domain"));
    return c.json(
      { items: stops.map(({ address, at, ...stop }) => ({ mailbox: address, at: instant(at), ...stop })) },
      200,
    );
  },
);

const StopPath = DomainPath.extend({ address: z.string() });

outgoingApi.openapi(
  createRoute({
    method: "put",
    path: "/api/domains/{domain}/outgoing/stops/{address}",
    tags: ["outgoing"],
    summary: "Nothing more is taken from a mailbox, and what it has queued waits",
    request: { params: StopPath },
    responses: { 204: { description: "Stopped." }, ...PROBLEMS },
  }),
  async (c) => {
    const problem = await stopMailbox(c.env, c.get("domain"), c.req.valid("param").address, principalOf(c).name);
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);

outgoingApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/domains/{domain}/outgoing/stops/{address}",
    tags: ["outgoing"],
    summary: "A mailbox may send again, and what it has queued goes out",
    request: { params: StopPath },
    responses: { 204: { description: "It may send." }, ...PROBLEMS },
  }),
  async (c) => {
    const problem = await releaseMailbox(c.env, c.get("domain"), c.req.valid("param").address, principalOf(c).name);
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);
