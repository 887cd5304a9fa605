/** Customers' own servers that send through us (smart host). */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_LABEL, MAX_RELAY_SENDERS } from "../../../core/send/limits.ts";
import type { RelayRow } from "../../store/relays.ts";
import { addRelay, relaysOf, removeRelay } from "../actions/relays.ts";
import { principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, DomainPath, instant, json, newApi, PROBLEMS, page } from "./api.ts";

const RelaySchema = z
  .object({
    id: z.string(),
    subject: z.string().openapi({ description: "What it is called, or else how it is known." }),
    kind: z.enum(["login", "address", "certificate"]),
    username: z.string().optional().openapi({ description: "Of a login." }),
    address: z.string().optional().openapi({ description: "Its address, or the range that it is in." }),
    certificate: z.string().optional().openapi({ description: "SHA-256 fingerprint, hexadecimal." }),
    senders: z.array(z.string()).openapi({ description: "Domains that it may name as sender." }),
    label: z.string(),
    actor: z.string(),
    createdAt: z.iso.datetime(),
  })
  .openapi("Relay");

const MadeSchema = RelaySchema.extend({
  password: z.string().optional().openapi({ description: "Of a login, shown this once: only its hash is kept." }),
}).openapi("MadeRelay");

const NewSchema = z
  .strictObject({
    login: z.literal(true).optional().openapi({ description: "A login name and a password are made for it." }),
    address: z.string().max(100).optional().openapi({
      description: "An address, or a range of at most /24 (IPv6 /48), that nobody else sends from.",
      example: "192.0.2.10",
    }),
    certificate: z.string().max(200).optional().openapi({
      description: "SHA-256 fingerprint of the certificate that it shows, whoever signed it; colons do not matter.",
    }),
    senders: z
      .array(z.string().max(255))
      .max(MAX_RELAY_SENDERS)
      .default([])
      .openapi({ description: "Further domains of yours that it sends for." }),
    label: z.string().max(MAX_LABEL).default(""),
  })
  .openapi("NewRelay");

const view = ({ id, kind, value, senders, label, actor, createdAt }: RelayRow): z.infer<typeof RelaySchema> => ({
  id: String(id),
  subject: label === "" ? value : label,
  kind,
  ...(kind === "login" ? { username: value } : { [kind]: value }),
  senders: [...senders],
  label,
  actor,
  createdAt: instant(createdAt),
});

export const relaysApi = newApi();

relaysApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/relays",
    tags: ["outgoing"],
    summary: "The servers that send through the submission ports for this domain, with us as their smart host",
    request: { params: DomainPath },
    responses: { 200: json(page(RelaySchema), "All in one page."), ...PROBLEMS },
  }),
  async (c) => c.json({ items: (await relaysOf(c.env, c.get("domain"))).map(view), next: null }, 200),
);

relaysApi.openapi(
  createRoute({
    method: "post",
    path: "/api/domains/{domain}/relays",
    tags: ["outgoing"],
    summary: "A server may send: known by a login that is made for it, by its address, or by its TLS certificate",
    request: { params: DomainPath, body: body(NewSchema) },
    responses: { 201: json(MadeSchema, "It may send from now on."), ...PROBLEMS },
  }),
  async (c) => {
    const made = await addRelay(c.env, principalOf(c), c.get("domain"), c.req.valid("json"), Date.now());
    if (!made.ok) return problemResponse(c, made.error);
    const { password, ...row } = made.value;
    return c.json({ ...view(row), ...(password === undefined ? {} : { password }) }, 201);
  },
);

relaysApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/domains/{domain}/relays/{id}",
    tags: ["outgoing"],
    summary: "A server may send no more, at once; what it has sent goes out",
    request: { params: DomainPath.extend({ id: z.string().regex(/^\d{1,15}$/, "must be a number") }) },
    responses: { 204: { description: "Taken away." }, ...PROBLEMS },
  }),
  async (c) => {
    const problem = await removeRelay(c.env, principalOf(c), c.get("domain"), Number(c.req.valid("param").id));
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);
