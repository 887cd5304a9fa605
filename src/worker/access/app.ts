/** All that people and scripts may call over HTTP; gateways have routes of their own (gateway/routes.ts). */
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { ANSWER_TIMEOUT, MAX_REQUEST_BYTES } from "../../core/limits.ts";
import { MAX_COMPOSE_BYTES } from "../../core/send/limits.ts";
import { MissingOctetsError } from "../archive/read.ts";
import { ShardError } from "../search/archive.ts";
import { DeadlineError, within } from "../store/deadline.ts";
import { hasMoved } from "../store/moved.ts";
import { type Api, newApi } from "./api/api.ts";
import { createApi, problemOfException } from "./api/index.ts";
import type { AppContext } from "./context.ts";
import { authenticate } from "./guards.ts";
import { notFound, type Problem, problemResponse, unavailable } from "./problem.ts";
import { createPages, pageProblem } from "./web/index.ts";

export function createApp(): Api {
  const app = newApi();
  app.use(async (c, next) => {
    await next();
    c.header("x-content-type-options", "nosniff");
    c.header("referrer-policy", "no-referrer");
  });
  app.use((_c, next) => within(next(), ANSWER_TIMEOUT, "the answer"));
  const limit = (maxSize: number) =>
    bodyLimit({
      maxSize,
      onError: (c) =>
        answer(c, { status: 413, code: "too_large", detail: `The body is larger than ${maxSize} octets.` }),
    });
  const [limited, written] = [limit(MAX_REQUEST_BYTES), limit(MAX_COMPOSE_BYTES)];
  // Mail has a limit of its own, and is not held whole.
  app.use((c, next) => {
    if (isMail(c.req.header("content-type"))) return next();
    return c.req.method === "POST" && c.req.path === "/api/mail/messages" ? written(c, next) : limited(c, next);
  });
  app.use(authenticate);
  app.route("/", createApi());
  app.route("/", createPages());
  app.notFound((c) => answer(c, notFound(`page ${c.req.path}`)));
  app.onError((error, c) => answer(c, problemOf(error)));
  return app;
}

const isMail = (type: string | undefined): boolean => /^message\/rfc822\s*(;|$)/i.test(type ?? "");

function problemOf(error: Error): Problem {
  if (error instanceof HTTPException) return problemOfException(error);
  console.error("a request failed:", error);
  if (error instanceof MissingOctetsError) return notFound("stored copy of this message");
  if (error instanceof ShardError) {
    const detail = `Shard ${error.shard} does not answer, and a search without it would not be complete. Try again, or search one mailbox (mailbox=…) that is elsewhere.`;
    return { status: 503, code: "shard_unavailable", detail, retryAfter: 5 };
  }
  if (hasMoved(error)) {
    const detail = "This mailbox is being moved to another database. Nothing was changed; try again in a moment.";
    return { status: 503, code: "moving", detail, retryAfter: 2 };
  }
  if (error instanceof DeadlineError) return unavailable("A part of the service does not answer; try again.");
  return { status: 500, code: "internal", detail: "Something went wrong on our side. It has been logged; try again." };
}

function answer(c: AppContext, problem: Problem): Response | Promise<Response> {
  const forPrograms = c.req.path.startsWith("/api/") || c.req.path === "/metrics";
  return forPrograms ? problemResponse(c, problem) : pageProblem(c, problem);
}
