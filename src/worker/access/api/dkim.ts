/** The keys that sign a domain's mail (RFC 6376): made here, published in the domain's DNS by whoever runs it. */
import { createRoute, z } from "@hono/zod-openapi";
import { dkimRecord } from "../../send/dkim.ts";
import type { PublicDkimKey } from "../../store/outgoing-settings.ts";
import { addKey, forgetKey, keysOf, useKey } from "../actions/dkim.ts";
import { principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, DomainPath, instant, json, newApi, PROBLEMS } from "./api.ts";

const KeySchema = z
  .object({
    selector: z.string(),
    active: z.boolean().openapi({ description: "It signs." }),
    createdAt: z.iso.datetime(),
    record: z
      .object({
        name: z.string(),
        type: z.literal("TXT"),
        value: z.string(),
        strings: z
          .array(z.string())
          .openapi({ description: "The same in pieces of at most 255 octets, as DNS has it." }),
      })
      .openapi({ description: "What has to stand in DNS before the key signs." }),
  })
  .openapi("DkimKey");

/** RFC 1035 §3.3.14. */
const STRING = /.{1,255}/g;

function keyView(domain: string, { selector, publicKey, active, createdAt }: PublicDkimKey): z.infer<typeof KeySchema> {
  const record = dkimRecord(domain, selector, publicKey);
  const strings = record.value.match(STRING) ?? [];
  return { selector, active, createdAt: instant(createdAt), record: { ...record, type: "TXT", strings } };
}

const SELECTOR = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const Selector = z.string().regex(SELECTOR, "must be letters, digits and hyphens, at most 63");
const KeyPath = DomainPath.extend({ selector: z.string() });

export const dkimApi = newApi();

dkimApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/dkim",
    tags: ["outgoing"],
    summary: "The domain's DKIM keys, the youngest first, with the records that have to stand in DNS",
    request: { params: DomainPath },
    responses: { 200: json(z.object({ items: z.array(KeySchema) }), "All of them."), ...PROBLEMS },
  }),
  async (c) => {
    const domain = c.get("domain");
    const keys = await keysOf(c.env, domain);
    return c.json({ items: keys.map((key) => keyView(domain.name, key)) }, 200);
  },
);

dkimApi.openapi(
  createRoute({
    method: "post",
    path: "/api/domains/{domain}/dkim",
    tags: ["outgoing"],
    summary: "Make a key (RSA, 2048 bits). It does not sign yet: put its record into DNS first, then make it sign",
    request: {
      params: DomainPath,
      body: body(z.strictObject({ selector: Selector.optional().openapi({ description: "Absent: by the date." }) })),
    },
    responses: { 201: json(KeySchema, "Made."), ...PROBLEMS },
  }),
  async (c) => {
    const domain = c.get("domain");
    const made = await addKey(c.env, principalOf(c), domain, c.req.valid("json").selector, Date.now());
    return made.ok ? c.json(keyView(domain.name, made.value), 201) : problemResponse(c, made.error);
  },
);

dkimApi.openapi(
  createRoute({
    method: "put",
    path: "/api/domains/{domain}/dkim/{selector}",
    tags: ["outgoing"],
    summary: "This key signs from now on, and no other; those before it may go from DNS after a week",
    request: { params: KeyPath, body: body(z.strictObject({ active: z.literal(true) })) },
    responses: { 204: { description: "It signs." }, ...PROBLEMS },
  }),
  async (c) => {
    const problem = await useKey(c.env, principalOf(c), c.get("domain"), c.req.valid("param").selector);
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);

dkimApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/domains/{domain}/dkim/{selector}",
    tags: ["outgoing"],
    summary: "Forget a key; where it was the one that signed, nothing is signed any more",
    request: { params: KeyPath },
    responses: { 204: { description: "Gone." }, ...PROBLEMS },
  }),
  async (c) => {
    const problem = await forgetKey(c.env, principalOf(c), c.get("domain"), c.req.valid("param").selector);
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);
