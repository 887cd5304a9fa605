/** Under what names the signed-in user writes. */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_IDENTITY_ADDRESSES, MAX_SIGNATURE } from "../../../core/send/limits.ts";
import {
  changeIdentity,
  type Identity,
  type IdentityChange,
  type IdentityRefusal,
  identitiesOf,
  makeIdentity,
  removeIdentity,
} from "../../person/identities.ts";
import { withAuthor } from "../actions/person.ts";
import { invalid, notFound, type Problem, problemResponse } from "../problem.ts";
import { body, json, newApi, PROBLEMS, page } from "./api.ts";
import { userOf } from "./mail.ts";
import { Repeatable } from "./mail-folders.ts";

const People = z
  .array(z.strictObject({ name: z.string().max(200).default(""), address: z.string().max(320) }))
  .max(MAX_IDENTITY_ADDRESSES);
const Signature = z.string().max(MAX_SIGNATURE);

const IdentitySchema = z
  .object({
    id: z.string().openapi({ description: "`own`: that of the mailbox's own address, which is always there." }),
    name: z.string().openapi({ description: "Stands beside the address in From." }),
    email: z.string().openapi({ description: "The mailbox's own address, or an alias of it." }),
    replyTo: People,
    bcc: People,
    textSignature: z.string(),
    htmlSignature: z.string().openapi({ description: "As it was set: whoever shows it makes it safe first." }),
    isDefault: z.boolean().openapi({ description: "What is written from where nothing else is said." }),
    mayDelete: z.boolean(),
  })
  .openapi("Identity");

const Change = z.strictObject({
  name: z.string().max(200).optional(),
  email: z.string().max(320).optional(),
  replyTo: People.optional(),
  bcc: People.optional(),
  textSignature: Signature.optional(),
  htmlSignature: Signature.optional(),
  isDefault: z.boolean().optional(),
});

const IdentityPath = z.object({ id: z.string().max(100) });

export const identitiesApi = newApi();

identitiesApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/identities",
    tags: ["mail"],
    summary: "The identities, that of the mailbox's own address first",
    responses: { 200: json(page(IdentitySchema), "All in one page."), ...PROBLEMS },
  }),
  (c) =>
    withAuthor(c, userOf(c), async (author) =>
      c.json({ items: (await identitiesOf(c.env, author)).map(view), next: null }, 200),
    ),
);

identitiesApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/identities",
    tags: ["mail"],
    summary: "Another identity, for an alias, or for the own address in another role",
    request: { headers: Repeatable, body: body(Change.required({ email: true })) },
    responses: { 201: json(IdentitySchema, "Made, now or by an earlier request of this name."), ...PROBLEMS },
  }),
  (c) =>
    withAuthor(c, userOf(c), async (author) => {
      const request = c.req.valid("header")["idempotency-key"] ?? null;
      const { email, ...wanted } = c.req.valid("json");
      const made = await makeIdentity(c.env, author, { ...given(wanted), email }, request, Date.now());
      return made.ok ? c.json(view(made.value), 201) : problemResponse(c, problemOf(made.error));
    }),
);

identitiesApi.openapi(
  createRoute({
    method: "patch",
    path: "/api/mail/identities/{id}",
    tags: ["mail"],
    summary: "Change an identity; one that is made the default takes the place of the one that was",
    request: { params: IdentityPath, body: body(Change) },
    responses: { 200: json(IdentitySchema, "As it is now."), ...PROBLEMS },
  }),
  (c) =>
    withAuthor(c, userOf(c), async (author) => {
      const changed = await changeIdentity(c.env, author, c.req.valid("param").id, given(c.req.valid("json")));
      return changed.ok ? c.json(view(changed.value), 200) : problemResponse(c, problemOf(changed.error));
    }),
);

identitiesApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/mail/identities/{id}",
    tags: ["mail"],
    summary: "Delete an identity; that of the mailbox's own address stays",
    request: { params: IdentityPath },
    responses: { 204: { description: "It is gone." }, ...PROBLEMS },
  }),
  (c) =>
    withAuthor(c, userOf(c), async (author) => {
      const refused = await removeIdentity(c.env, author, c.req.valid("param").id);
      return refused ? problemResponse(c, problemOf(refused)) : c.body(null, 204);
    }),
);

/** What is there of a request. */
function given(change: { readonly [name in keyof IdentityChange]?: IdentityChange[name] | undefined }): IdentityChange {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

function view({ replyTo, bcc, ...identity }: Identity): z.infer<typeof IdentitySchema> {
  return { ...identity, replyTo: [...replyTo], bcc: [...bcc] };
}

function problemOf({ reason, field = "", detail }: IdentityRefusal): Problem {
  switch (reason) {
    case "no_identity":
      return notFound("such identity in your mailbox");
    case "invalid":
      return invalid(field, detail);
    case "too_many":
    case "fixed":
      return { status: 409, code: reason, detail };
  }
}
