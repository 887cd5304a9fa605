/** The keys that sign a domain's mail (RFC 6376): made here, published in the domain's DNS by whoever runs it. */
import { createRoute, z } from "@hono/zod-openapi";
import { logEvent } from "../../domain/ask.ts";
import { sealSecret } from "../../identity/secret.ts";
import { dkimRecord, makeDkimKey } from "../../send/dkim.ts";
import { directory } from "../../store/directory.ts";
import {
  activateDkimKey,
  deleteDkimKey,
  dkimKeys,
  insertDkimKey,
  type PublicDkimKey,
} from "../../store/outgoing-settings.ts";
import { principalOf } from "../context.ts";
import { notFound, type Problem, problemResponse } from "../problem.ts";
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
const noKey = (selector: string): Problem => notFound(`key ${JSON.stringify(selector)} of this domain`);

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
    const { id, name } = c.get("domain");
    const keys = await dkimKeys(directory(c.env), id);
    return c.json({ items: keys.map((key) => keyView(name, key)) }, 200);
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
    const { id, name } = c.get("domain");
    const now = Date.now();
    const { selector = `holdfast-${instant(now).slice(0, 10).replaceAll("-", "")}` } = c.req.valid("json");
    const { privateKey, publicKey } = await makeDkimKey();
    const { encrypted, keyId } = await sealSecret(c.env, privateKey);
    const key = { domain: id, selector, publicKey, encrypted, keyId, active: false, createdAt: now };
    if (!(await insertDkimKey(directory(c.env), key))) {
      const detail = `The domain has a key ${selector} already: choose another selector.`;
      return problemResponse(c, { status: 409, code: "exists", detail });
    }
    await logEvent(c.env, name, { kind: "dkim_key_made", actor: principalOf(c).name, data: { selector } });
    return c.json(keyView(name, key), 201);
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
    const { id, name } = c.get("domain");
    const { selector } = c.req.valid("param");
    if (!(await activateDkimKey(directory(c.env), id, selector))) return problemResponse(c, noKey(selector));
    await logEvent(c.env, name, { kind: "dkim_key_signs", actor: principalOf(c).name, data: { selector } });
    return c.body(null, 204);
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
    const { id, name } = c.get("domain");
    const { selector } = c.req.valid("param");
    if (!(await deleteDkimKey(directory(c.env), id, selector))) return problemResponse(c, noKey(selector));
    await logEvent(c.env, name, { kind: "dkim_key_deleted", actor: principalOf(c).name, data: { selector } });
    return c.body(null, 204);
  },
);
