/** The API as a whole: its resources, its guards, its description. */
import type { HTTPException } from "hono/http-exception";
import { administersDomain, only, type Refuse, sameOrigin, signedIn } from "../guards.ts";
import { notFound, type Problem, type ProblemStatus, problemResponse } from "../problem.ts";
import { type Api, newApi } from "./api.ts";
import { archiveApi } from "./archive.ts";
import { dkimApi } from "./dkim.ts";
import { domainsApi } from "./domains.ts";
import { eventsApi } from "./events.ts";
import { healthApi } from "./health.ts";
import { identitiesApi } from "./identities.ts";
import { journalApi } from "./journal.ts";
import { mailApi } from "./mail.ts";
import { mailActsApi } from "./mail-acts.ts";
import { mailFoldersApi } from "./mail-folders.ts";
import { mailOctetsApi } from "./mail-octets.ts";
import { mailSendApi } from "./mail-send.ts";
import { mailboxesApi } from "./mailboxes.ts";
import { modeApi } from "./mode.ts";
import { onArrivalApi } from "./on-arrival.ts";
import { outgoingApi } from "./outgoing.ts";
import { reindexApi } from "./reindex.ts";
import { relaysApi } from "./relays.ts";
import { sessionApi } from "./session.ts";
import { shardsApi } from "./shards.ts";

const refuse: Refuse = (c, problem) => problemResponse(c, problem);

/** What needs no login. Everything else under /api does, whether it exists or not. */
const PUBLIC = new Set(["GET /api/health", "GET /api/openapi.json", "POST /api/session"]);

export function createApi(): Api {
  const api = newApi();
  api.use("/api/*", async (c, next) => {
    await next();
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
  });
  api.use("/api/*", sameOrigin(refuse));
  const guard = signedIn(refuse);
  api.use("/api/*", (c, next) => (PUBLIC.has(`${c.req.method} ${c.req.path}`) ? next() : guard(c, next)));
  api.use("/api/domains/*", only(refuse, "operator", "administrator"));
  api.use("/api/domains", only(refuse, "operator", "administrator"));
  const mine = administersDomain(refuse);
  // A PUT on the domain itself may create it: the act decides by the same scope.
  api.use("/api/domains/:domain", (c, next) => (c.req.method === "PUT" ? next() : mine(c, next)));
  api.use("/api/domains/:domain/*", (c, next) => (c.req.path.split("/").length > 4 ? mine(c, next) : next()));
  api.use("/api/mail/*", only(refuse, "user"));
  api.use("/api/domains/:domain/mailboxes/:address/move", only(refuse, "operator"));
  api.use("/api/shards", only(refuse, "operator"));
  api.use("/api/shards/*", only(refuse, "operator"));
  api.use("/metrics", only(refuse, "operator"));
  api.use("/api/reindex", only(refuse, "operator"));

  const resources = [
    healthApi,
    sessionApi,
    domainsApi,
    modeApi,
    mailboxesApi,
    archiveApi,
    mailFoldersApi,
    mailActsApi,
    mailOctetsApi,
    mailApi,
    eventsApi,
    mailSendApi,
    identitiesApi,
    onArrivalApi,
    outgoingApi,
    dkimApi,
    relaysApi,
    journalApi,
    reindexApi,
    shardsApi,
  ];
  for (const resource of resources) api.route("/", resource);

  api.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  api.openAPIRegistry.registerComponent("securitySchemes", "cookie", {
    type: "apiKey",
    in: "cookie",
    name: "holdfast",
  });
  api.doc31("/api/openapi.json", (c) => ({
    openapi: "3.1.0",
    info: { title: "Holdfast", version: "1", description: "E-mail continuity. Everything that the panel can do." },
    servers: [{ url: new URL(c.req.url).origin }],
    security: [{ bearer: [] }, { cookie: [] }],
  }));
  api.all("/api/*", (c) => problemResponse(c, notFound(`${c.req.method} ${c.req.path} in this API`)));
  return api;
}

const KNOWN = new Set<number>([400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503]);

/** What the framework itself refuses, such as a body that is not JSON. */
export function problemOfException(error: HTTPException): Problem {
  if (!KNOWN.has(error.status)) return { status: 500, code: "internal", detail: "Something went wrong." };
  const status = error.status as ProblemStatus;
  if (status === 415) {
    return { status, code: "media_type", detail: "Say what the body is: Content-Type: application/json." };
  }
  if (status === 400) return { status, code: "malformed", detail: "The body is not JSON." };
  return { status, code: "refused", detail: error.message };
}
