/** Mailboxes of a domain. */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_ALIASES } from "../../../core/limits.ts";
import { directory } from "../../store/directory.ts";
import { listMailboxes, type MailboxRow } from "../../store/mailboxes.ts";
import { type ImportLine, importMailboxes, readMailboxCsv } from "../actions/mailbox-import.ts";
import { mailboxOf, removeMailbox, saveMailbox } from "../actions/mailboxes.ts";
import { WAITING_CHOICES } from "../actions/waiting.ts";
import { type AppContext, principalOf } from "../context.ts";
import { type FieldError, invalidFields, type Problem, problemResponse } from "../problem.ts";
import { fieldErrors } from "../validation.ts";
import { body, cut, DomainPath, instant, json, newApi, PageQuery, PROBLEMS, page } from "./api.ts";

const settings = {
  covered: z.boolean().optional().openapi({ description: "Counts where the domain's coverage is `selected`." }),
  password: z.string().nullable().optional().openapi({ description: "null takes the login away." }),
  aliases: z
    .array(z.string().max(320))
    .max(MAX_ALIASES)
    .optional()
    .openapi({ description: "Replaces all of them. Full addresses, or local parts alone." }),
  alternateAddress: z.string().max(320).nullable().optional(),
};
const MailboxInput = z.strictObject(settings).openapi("MailboxChange", {
  description: "Absent settings stay as they are.",
});
const Registrations = z
  .preprocess(
    (given) => (Array.isArray(given) ? { mailboxes: given } : given),
    z.strictObject({ mailboxes: z.array(z.strictObject({ address: z.string().max(320), ...settings })) }),
  )
  .openapi("MailboxImport", { description: "Or the list alone." });

const Mailbox = z
  .object({
    id: z.string(),
    address: z.string(),
    covered: z.boolean(),
    aliases: z.array(z.string()),
    alternateAddress: z.string().nullable(),
    login: z.boolean().openapi({ description: "There is a password." }),
    shard: z.int().openapi({ description: "The database that holds its messages." }),
    createdAt: z.iso.datetime(),
  })
  .openapi("Mailbox");

function mailboxView(c: AppContext, row: MailboxRow): z.infer<typeof Mailbox> {
  const { name } = c.get("domain");
  return {
    id: String(row.id),
    address: row.address,
    covered: row.covered,
    aliases: row.aliases.map((local) => `${local}@${name}`),
    alternateAddress: row.alternate,
    login: row.login,
    shard: row.shard,
    createdAt: instant(row.createdAt),
  };
}

const MailboxPath = DomainPath.extend({ address: z.string().openapi({ example: "alice@example.org" }) });
const WaitingQuery = z.strictObject({
  waiting: z
    .enum(WAITING_CHOICES)
    .optional()
    .openapi({ description: "What becomes of mail that still waits for what is taken away." }),
});

export const mailboxesApi = newApi();

mailboxesApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/mailboxes",
    tags: ["mailboxes"],
    summary: "The registered mailboxes, by address",
    request: { params: DomainPath, query: PageQuery },
    responses: { 200: json(page(Mailbox), "A page."), ...PROBLEMS },
  }),
  async (c) => {
    const { cursor = "", limit } = c.req.valid("query");
    const rows = await listMailboxes(directory(c.env), c.get("domain").id, cursor, limit + 1);
    const { items, next } = cut(rows, limit, (row) => row.address);
    return c.json({ items: items.map((row) => mailboxView(c, row)), next }, 200);
  },
);

mailboxesApi.openapi(
  createRoute({
    method: "post",
    path: "/api/domains/{domain}/mailboxes",
    tags: ["mailboxes"],
    summary: "Register many: all of them, or none and an error for each line that cannot be",
    request: {
      params: DomainPath,
      body: {
        content: {
          "application/json": { schema: Registrations },
          "text/csv": {
            schema: z.string().openapi({
              example: "address,password,aliases,covered,alternateAddress\nalice@example.org,,info sales,true,\n",
            }),
          },
        },
      },
    },
    responses: { 201: json(z.object({ items: z.array(Mailbox), next: z.null() }), "Registered."), ...PROBLEMS },
  }),
  async (c) => {
    const lines = await linesOf(c, c.req.valid("json"));
    if (!Array.isArray(lines)) return problemResponse(c, lines);
    const result = await importMailboxes(c.env, principalOf(c), c.get("domain"), lines, Date.now());
    if (!result.ok) return problemResponse(c, result.error);
    return c.json({ items: result.value.map((row) => mailboxView(c, row)), next: null }, 201);
  },
  (result, c) =>
    result.success ? undefined : problemResponse(c, invalidFields(fieldErrors(result.error).map(withLine))),
);

/** @param given what came as JSON; without a body an object without settings */
async function linesOf(c: AppContext, given: unknown): Promise<ImportLine[] | Problem> {
  if (/^text\/csv\b/i.test(c.req.header("content-type") ?? "")) {
    const read = readMailboxCsv(await c.req.text());
    return read.ok ? read.value : read.error;
  }
  const parsed = Registrations.safeParse(given);
  if (!parsed.success) return invalidFields(fieldErrors(parsed.error).map(withLine));
  return parsed.data.mailboxes.map(({ address, ...input }, index) => ({ line: index + 1, address, input }));
}

/** `mailboxes.2.covered` is `covered` on line 3. */
function withLine(error: FieldError): FieldError {
  const match = /^mailboxes\.(\d+)\.?(.*)$/.exec(error.field);
  return match ? { field: match[2] ?? "", line: Number(match[1]) + 1, message: error.message } : error;
}

mailboxesApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/mailboxes/{address}",
    tags: ["mailboxes"],
    summary: "One mailbox",
    request: { params: MailboxPath },
    responses: { 200: json(Mailbox, "The mailbox."), ...PROBLEMS },
  }),
  async (c) => {
    const box = await mailboxOf(c.env, c.get("domain"), c.req.valid("param").address);
    return box.ok ? c.json(mailboxView(c, box.value), 200) : problemResponse(c, box.error);
  },
);

mailboxesApi.openapi(
  createRoute({
    method: "put",
    path: "/api/domains/{domain}/mailboxes/{address}",
    tags: ["mailboxes"],
    summary: "Register a mailbox, or change one",
    request: { params: MailboxPath, query: WaitingQuery, body: body(MailboxInput) },
    responses: { 200: json(Mailbox, "Changed."), 201: json(Mailbox, "Registered."), ...PROBLEMS },
  }),
  async (c) => {
    const { address } = c.req.valid("param");
    const { waiting } = c.req.valid("query");
    const input = c.req.valid("json");
    const saved = await saveMailbox(c.env, principalOf(c), c.get("domain"), address, input, waiting, Date.now());
    if (!saved.ok) return problemResponse(c, saved.error);
    return c.json(mailboxView(c, saved.value.box), saved.value.created ? 201 : 200);
  },
);

mailboxesApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/domains/{domain}/mailboxes/{address}",
    tags: ["mailboxes"],
    summary: "Remove a mailbox; its archive stays until it expires",
    request: { params: MailboxPath, query: WaitingQuery },
    responses: { 204: { description: "Removed." }, ...PROBLEMS },
  }),
  async (c) => {
    const { address } = c.req.valid("param");
    const problem = await removeMailbox(c.env, principalOf(c), c.get("domain"), address, c.req.valid("query").waiting);
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);
