/** Streams of changes, as server-sent events: a user's mailbox, an administrator's domain. */
import { createRoute, z } from "@hono/zod-openapi";
import type { ObjectFrame } from "../../../core/protocol/push/frames.ts";
import { mailboxOf } from "../../mailbox/contract.ts";
import { eventStream, type ServerSentEvent } from "../../push/stream.ts";
import type { WatchRefusal } from "../../push/watch.ts";
import type { AppContext } from "../context.ts";
import { type Problem, problemResponse, unavailable } from "../problem.ts";
import { DomainPath, instant, newApi, PROBLEMS } from "./api.ts";
import { userOf } from "./mail.ts";

const stream = (description: string) => ({
  200: { description, content: { "text/event-stream": { schema: z.string() } } },
  ...PROBLEMS,
});

const LastEvent = z.object({
  "last-event-id": z
    .string()
    .openapi({ description: "The `id` of the last event that came: nothing is said where it is still so." })
    .optional(),
});

const Since = z.strictObject({
  since: z
    .string()
    .regex(/^\d{1,15}$/, "is no state of a mailbox")
    .openapi({ description: "The same, for who has a state and cannot set the header; the header wins." })
    .optional(),
});

export const eventsApi = newApi();

eventsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/events",
    tags: ["mail"],
    summary: "Changes of the mailbox as they happen",
    request: { headers: LastEvent, query: Since },
    responses: stream(
      "Server-sent events. `state`: `{state}`, the mailbox's state now, which is the event's `id` too; the first comes at once. `archive`: a message came into the archive and into no folder; whoever shows the archive also looks when they connect. `end`: `{reason}`, `moved`, `login` or `gone`: sign in or connect anew. The stream ends after some minutes; it goes on with Last-Event-ID where it ended.",
    ),
  }),
  async (c) => {
    const { account, domain } = mailboxOf(c.env, userOf(c));
    const since = stateOf(c.req.valid("header")["last-event-id"] ?? c.req.valid("query").since);
    return answer(c, await eventStream(c.env, domain, { kind: "account", account, since }, { say: sayAccount }));
  },
);

eventsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/events/stream",
    tags: ["domains"],
    summary: "Mode and backlog of the domain as they change",
    request: { params: DomainPath },
    responses: stream(
      "Server-sent events. `domain`: `{mode, modeSince, modeCause, backlog, run}`; the first comes at once, afterwards at most one a second. `backlog` is null where it could not be counted, `run` where nothing is being given back.",
    ),
  }),
  async (c) => answer(c, await eventStream(c.env, c.get("domain").name, { kind: "domain" }, { say: sayDomain })),
);

/** What is no state of ours is none that the mailbox is in. */
const stateOf = (id: string | undefined): number | null =>
  id !== undefined && /^\d{1,15}$/.test(id) ? Number(id) : null;

function sayAccount(frame: ObjectFrame): ServerSentEvent | null {
  if (frame.op === "ended") return { event: "end", data: JSON.stringify({ reason: frame.why }) };
  if (frame.op === "archived") return { event: "archive", data: "{}" };
  if (frame.op !== "changed") return null;
  const state = frame.seq === null ? null : String(frame.seq);
  return { event: "state", data: JSON.stringify({ state }), ...(state === null ? {} : { id: state }) };
}

function sayDomain(frame: ObjectFrame): ServerSentEvent | null {
  if (frame.op !== "domain") return null;
  const { mode, since, cause, backlog, run } = frame;
  const view = {
    mode,
    modeSince: instant(since),
    modeCause: cause,
    backlog,
    run: run && { ...run, startedAt: instant(run.startedAt) },
  };
  return { event: "domain", data: JSON.stringify(view) };
}

function answer(c: AppContext, opened: Response | WatchRefusal) {
  return typeof opened === "string" ? problemResponse(c, PROBLEM[opened]) : opened;
}

const PROBLEM: Readonly<Record<WatchRefusal, Problem>> = {
  none: unavailable("This mailbox or domain is not known where its changes are told; try again."),
  full: {
    status: 429,
    code: "too_many_watchers",
    detail: "Too many windows and programs watch this already. Close one, or look from time to time instead.",
    retryAfter: 60,
  },
  failed: unavailable("Changes cannot be watched now; try again."),
};
