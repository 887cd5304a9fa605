/** Addresses to which customers' servers send copies of their mail (journalling). */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_JOURNAL_SOURCES, MAX_LABEL, MAX_RELAY_SENDERS } from "../../../core/send/limits.ts";
import type { JournalRow } from "../../store/journal-addresses.ts";
import { addJournal, journalsOf, removeJournal } from "../actions/journal.ts";
import { principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, DomainPath, instant, json, newApi, PROBLEMS, page } from "./api.ts";

const Format = z.enum(["reports", "copies"]).openapi({
  description:
    "`reports`: Exchange's and Microsoft 365's journal reports, with the message attached; `copies`: the messages themselves, as " +
    "Postfix and Google Workspace send them. Neither is taken for the other.",
});

const JournalSchema = z
  .object({
    id: z.string(),
    subject: z.string().openapi({ description: "What it is called, or else its format." }),
    format: Format,
    domains: z.array(z.string()).openapi({ description: "Domains whose mail is kept." }),
    sources: z.array(z.string()).openapi({ description: "Where its mail may come from; empty: from anywhere." }),
    label: z.string(),
    actor: z.string(),
    createdAt: z.iso.datetime(),
  })
  .openapi("JournalAddress");

const MadeSchema = JournalSchema.extend({
  address: z.string().openapi({ description: "Shown this once: only a hash of the secret in it is kept." }),
  alternative: z
    .string()
    .openapi({ description: "The same at the domain itself, for one whose MX records lead here." }),
}).openapi("MadeJournalAddress");

const NewSchema = z
  .strictObject({
    format: Format,
    domains: z
      .array(z.string().max(255))
      .max(MAX_RELAY_SENDERS)
      .default([])
      .openapi({ description: "Further domains of yours that the same server sends copies of." }),
    sources: z
      .array(z.string().max(100))
      .max(MAX_JOURNAL_SOURCES)
      .default([])
      .openapi({ description: "Addresses or ranges that mail is taken from.", example: ["192.0.2.0/24"] }),
    label: z.string().max(MAX_LABEL).default(""),
  })
  .openapi("NewJournalAddress");

const view = ({
  id,
  format,
  domains,
  sources,
  label,
  actor,
  createdAt,
}: JournalRow): z.infer<typeof JournalSchema> => ({
  id: String(id),
  subject: label === "" ? format : label,
  format,
  domains: [...domains],
  sources: [...sources],
  label,
  actor,
  createdAt: instant(createdAt),
});

export const journalApi = newApi();
const PATH = "/api/domains/{domain}/journal-addresses";

journalApi.openapi(
  createRoute({
    method: "get",
    path: PATH,
    tags: ["outgoing"],
    summary: "The addresses to which the domain's own server sends copies of its mail, for the archive",
    request: { params: DomainPath },
    responses: { 200: json(page(JournalSchema), "All in one page."), ...PROBLEMS },
  }),
  async (c) => c.json({ items: (await journalsOf(c.env, c.get("domain"))).map(view), next: null }, 200),
);

journalApi.openapi(
  createRoute({
    method: "post",
    path: PATH,
    tags: ["outgoing"],
    summary: "A new journal address; those before it stay until they are taken away",
    request: { params: DomainPath, body: body(NewSchema) },
    responses: { 201: json(MadeSchema, "It takes mail from now on."), ...PROBLEMS },
  }),
  async (c) => {
    const made = await addJournal(c.env, principalOf(c), c.get("domain"), c.req.valid("json"), Date.now());
    if (!made.ok) return problemResponse(c, made.error);
    const [address, alternative] = made.value.addresses;
    return c.json({ ...view(made.value), address, alternative }, 201);
  },
);

journalApi.openapi(
  createRoute({
    method: "delete",
    path: `${PATH}/{id}`,
    tags: ["outgoing"],
    summary: "A journal address takes no more mail, at once; what it has brought stays in the archive",
    request: { params: DomainPath.extend({ id: z.string().regex(/^\d{1,15}$/, "must be a number") }) },
    responses: { 204: { description: "Taken away." }, ...PROBLEMS },
  }),
  async (c) => {
    const problem = await removeJournal(c.env, principalOf(c), c.get("domain"), Number(c.req.valid("param").id));
    return problem ? problemResponse(c, problem) : c.body(null, 204);
  },
);
