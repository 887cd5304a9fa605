/** Domains: list, one, create or change. */
import { createRoute, z } from "@hono/zod-openapi";
import { scopeOf } from "../../identity/principal.ts";
import { directory } from "../../store/directory.ts";
import { listDomains } from "../../store/domains.ts";
import { type DomainPicture, pictureOf, saveDomain } from "../actions/domains.ts";
import { WAITING_CHOICES } from "../actions/waiting.ts";
import { principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, cut, DomainPath, instant, json, newApi, PageQuery, PROBLEMS, page } from "./api.ts";
import { OutgoingInput, OutgoingOutput, outgoingView } from "./outgoing-settings.ts";

const COVERAGES = ["all", "selected"] as const;
const SWITCHINGS = ["manual", "automatic"] as const;
const TRANSPORTS = ["smtp", "gateway", "forward"] as const;
const WAYS = ["smtp", "gateway"] as const;
const TLS = ["implicit", "starttls", "none"] as const;

const PORT = "must be a whole number from 1 to 65535";

const TRANSPORT =
  "`smtp`: straight from the Worker, on any port but 25; `gateway`: through a gateway, on port 25 too; `forward`: what " +
  "comes by Email Routing is forwarded by it to `local part@forwardDomain`, an address that must be verified there; all " +
  "else goes `via`. Host, port, tls and login are those of the SMTP server, whatever the transport.";
const VIA = "With `forward`, and required there: the way of probes, of redelivery and of what cannot be forwarded.";
const FORWARD_DOMAIN = "With `forward`, and required there: a domain whose mail does not come to this service.";

const DomainInput = z
  .strictObject({
    continuity: z.boolean().optional(),
    coverage: z.enum(COVERAGES).optional(),
    switching: z.enum(SWITCHINGS).optional().openapi({ description: "`automatic`: set by an operator only." }),
    origin: z
      .strictObject({
        transport: z.enum(TRANSPORTS).optional().openapi({ description: TRANSPORT }),
        via: z.enum(WAYS).optional().openapi({ description: VIA }),
        forwardDomain: z.string().min(1, "is missing").max(255).optional().openapi({ description: FORWARD_DOMAIN }),
        host: z.string().min(1, "is missing").max(255).optional(),
        port: z.int(PORT).min(1, PORT).max(65_535, PORT).optional().openapi({
          description:
            "Of a new host, where absent: 465; 25 where the way is `gateway`, the only one that can open it.",
        }),
        tls: z.enum(TLS).optional(),
        username: z.string().min(1, "is empty").max(255).nullable().optional(),
        password: z.string().min(1, "is empty").max(1024).nullable().optional(),
      })
      .optional(),
    outgoing: OutgoingInput.optional(),
    postmaster: z.string().max(320).nullable().optional().openapi({
      description: "The mailbox that takes postmaster@ and abuse@ in emergency mode; null: the panel does.",
    }),
  })
  .openapi("DomainChange", { description: "Absent settings stay as they are." });

const Probe = z.object({ at: z.iso.datetime(), ok: z.boolean(), milliseconds: z.number(), text: z.string() });
const Backlog = z.object({ waiting: z.int(), refused: z.int() });

const DomainSummary = z
  .object({
    id: z.string(),
    domain: z.string(),
    continuity: z.boolean(),
    coverage: z.enum(COVERAGES),
    switching: z.enum(SWITCHINGS),
    mode: z.enum(["normal", "emergency"]),
    modeSince: z.iso.datetime(),
  })
  .openapi("DomainSummary");

const Domain = DomainSummary.extend({
  origin: z
    .object({
      transport: z.enum(TRANSPORTS).openapi({ description: TRANSPORT }),
      via: z.enum(WAYS).optional().openapi({ description: VIA }),
      forwardDomain: z.string().optional().openapi({ description: FORWARD_DOMAIN }),
      host: z.string(),
      port: z.int(),
      tls: z.enum(TLS),
      username: z.string().optional(),
      passwordSet: z.boolean(),
    })
    .nullable(),
  outgoing: OutgoingOutput,
  postmaster: z.string().nullable(),
  modeCause: z.string(),
  choice: z.object({ mode: z.enum(["normal", "emergency"]), actor: z.string(), at: z.iso.datetime() }).nullable(),
  doubt: z.boolean().openapi({ description: "There is evidence against the origin that has not been settled." }),
  backlog: Backlog,
  deferred: z.int(),
  run: z
    .object({
      startedAt: z.iso.datetime(),
      delivered: z.int(),
      refused: z.int(),
      deferred: z.int(),
      connections: z.int(),
    })
    .nullable()
    .openapi({ description: "The redelivery run that is under way." }),
  probes: z.array(Probe).openapi({ description: "The last ones, newest first." }),
  source: z.enum(["object", "directory"]).openapi({
    description: "`directory`: the domain's object does not answer; mode is as of its last change, the rest unknown.",
  }),
}).openapi("Domain");

const SHOWN_PROBES = 20;

export function domainView({ row, status, backlog }: DomainPicture): z.infer<typeof Domain> {
  const { transport, via, forwardDomain, host, port, tls, username, passwordEncrypted } = row.route ?? {};
  const known = transport && host !== undefined && port !== undefined && tls;
  return {
    ...summary(row),
    ...(status && { mode: status.mode.mode, modeSince: instant(status.mode.since) }),
    origin: known
      ? {
          transport,
          ...(via && { via }),
          ...(forwardDomain !== undefined && { forwardDomain }),
          host,
          port,
          tls,
          ...(username !== undefined && { username }),
          passwordSet: Boolean(passwordEncrypted),
        }
      : null,
    outgoing: outgoingView(row.outgoing),
    postmaster: row.settings.postmaster ?? null,
    modeCause: status?.mode.cause ?? "",
    choice: status?.mode.choice ? { ...status.mode.choice, at: instant(status.mode.choice.at) } : null,
    doubt: status?.mode.doubt ?? false,
    backlog,
    deferred: status?.deferred ?? 0,
    run: status?.run ? { ...status.run, startedAt: instant(status.run.startedAt) } : null,
    probes: newestFirst(status?.probes ?? []).map(({ at, ...probe }) => ({ at: instant(at), ...probe })),
    source: status ? "object" : "directory",
  };
}

export const newestFirst = <T extends { at: number }>(probes: readonly T[]): T[] =>
  [...probes].sort((a, b) => b.at - a.at).slice(0, SHOWN_PROBES);

function summary({ id, name, continuity, coverage, switching, mode, modeSince }: DomainPicture["row"]) {
  return { id: String(id), domain: name, continuity, coverage, switching, mode, modeSince: instant(modeSince) };
}

export const domainsApi = newApi();

domainsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains",
    tags: ["domains"],
    summary: "The domains that the login administers, by name",
    request: { query: PageQuery },
    responses: { 200: json(page(DomainSummary), "A page."), ...PROBLEMS },
  }),
  async (c) => {
    const { cursor = "", limit } = c.req.valid("query");
    const rows = await listDomains(directory(c.env), scopeOf(principalOf(c)), cursor, limit + 1);
    const { items, next } = cut(rows, limit, (row) => row.name);
    return c.json({ items: items.map(summary), next }, 200);
  },
);

domainsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}",
    tags: ["domains"],
    summary: "One domain with its mode, backlog and last probes",
    request: { params: DomainPath },
    responses: { 200: json(Domain, "The domain."), ...PROBLEMS },
  }),
  async (c) => c.json(domainView(await pictureOf(c.env, c.get("domain"))), 200),
);

domainsApi.openapi(
  createRoute({
    method: "put",
    path: "/api/domains/{domain}",
    tags: ["domains"],
    summary: "Create a domain (operators), or change one",
    request: {
      params: DomainPath,
      query: z.strictObject({ waiting: z.enum(WAITING_CHOICES).optional() }),
      body: body(DomainInput),
    },
    responses: { 200: json(Domain, "Changed."), 201: json(Domain, "Created."), ...PROBLEMS },
  }),
  async (c) => {
    const { waiting } = c.req.valid("query");
    const { domain } = c.req.valid("param");
    const saved = await saveDomain(c.env, principalOf(c), domain, c.req.valid("json"), waiting, Date.now());
    if (!saved.ok) return problemResponse(c, saved.error);
    return c.json(domainView(await pictureOf(c.env, saved.value.row)), saved.value.created ? 201 : 200);
  },
);
