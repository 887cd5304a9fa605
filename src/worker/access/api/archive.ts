/** The archive: search, one message, its octets and parts, delivered again. */
import { createRoute, z } from "@hono/zod-openapi";
import { openMessage } from "../../archive/read.ts";
import type { ArchiveItem } from "../../search/archive.ts";
import { snippetsOf } from "../../search/snippets.ts";
import { archivedMessage, idOf, redeliverMessage, searchMail } from "../actions/archive.ts";
import { principalOf } from "../context.ts";
import { attachmentResponse, rawResponse } from "../octets.ts";
import { problemResponse } from "../problem.ts";
import {
  instant,
  json,
  newApi,
  octetsOf,
  PageQuery,
  PROBLEMS,
  page,
  RangeHeader,
  SEARCHABLE,
  searchable,
} from "./api.ts";
import { openedView } from "./mail.ts";
import { HIGHLIGHTS, HighlightsAsked, highlightsOf, MailAddressSchema, OpenedSchema } from "./messages.ts";

const Item = z
  .object({
    id: z.string(),
    subject: z.string(),
    from: z.array(MailAddressSchema),
    to: z.array(MailAddressSchema),
    cc: z.array(MailAddressSchema),
    date: z.iso.datetime().nullable().openapi({
      description: "The header's Date; null where there is none that can be read.",
    }),
    recipient: z.string().openapi({ description: "Of the envelope: whom it came for." }),
    at: z.iso.datetime(),
    size: z.int(),
    direction: z.enum(["in", "out"]),
    preview: z.string(),
    attachments: z.int(),
  })
  .openapi("ArchivedMessage");

const Hit = Item.extend(HIGHLIGHTS).openapi("FoundMessage");

const Opened = Item.extend(OpenedSchema.shape).openapi("OpenedArchivedMessage");

export function itemView(item: ArchiveItem): z.infer<typeof Item> {
  return {
    id: item.id,
    subject: item.subject,
    from: [...item.meta.from],
    to: [...item.meta.to],
    cc: [...item.meta.cc],
    date: item.meta.date === undefined ? null : instant(item.meta.date),
    recipient: item.meta.envelope.to,
    at: instant(item.at),
    size: item.size,
    direction: item.direction,
    preview: item.preview,
    attachments: item.meta.attachments.length,
  };
}

const DATE = "must be a date such as 2026-11-24 or 2026-11-24T10:00:00Z";
const Day = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], DATE)
  .transform((text) => Date.parse(text))
  .openapi({ type: "string", example: "2026-11-24" });
const Words = z.string().max(500);

export const archiveApi = newApi();

archiveApi.openapi(
  createRoute({
    method: "get",
    path: "/api/archive",
    tags: ["archive"],
    summary: "Search, newest first; a user's is limited to their own mailbox",
    request: {
      query: PageQuery.extend({
        domain: z.string().max(255).optional().openapi({ description: "Needed by who is no user." }),
        mailbox: z.string().max(320).optional(),
        q: Words.optional().openapi({
          description:
            'As typed into a search box: words that all must occur, "phrases", `or`, `-without`, brackets, and ' +
            "`from: to: cc: bcc: subject: body: filename: has:attachment is:unread in:inbox since: before: on: newer: older: " +
            "larger: smaller: header:name:words list: message-id: keyword:`; see docs/search.md.",
          example: 'from:ann subject:"annual report" has:attachment since:2026-10-01 -draft',
        }),
        from: Words.optional(),
        to: Words.optional(),
        subject: Words.optional(),
        since: Day.optional(),
        until: Day.optional(),
        direction: z.enum(["in", "out"]).optional(),
        highlights: HighlightsAsked,
      }),
    },
    responses: { 200: json(page(Hit).extend(SEARCHABLE), "A page."), ...PROBLEMS },
  }),
  async (c) => {
    const { cursor, limit, highlights, ...query } = c.req.valid("query");
    const found = await searchMail(c.env, principalOf(c), query, cursor ?? null, limit);
    if (!found.ok) return problemResponse(c, found.error);
    const { items, next } = found.value;
    const rest = { next, ...searchable(found.value.since) };
    if (highlights === "false") return c.json({ items: items.map(itemView), ...rest }, 200);
    const snippets = await snippetsOf(c.env.MAIL, found.value.query, items);
    const hits = items.map((item, index) => ({ ...itemView(item), ...highlightsOf(snippets[index]) }));
    return c.json({ items: hits, ...rest }, 200);
  },
);

const MessagePath = z.object({ id: z.string().openapi({ example: "0-17" }) });
archiveApi.openapi(
  createRoute({
    method: "get",
    path: "/api/archive/{id}",
    tags: ["archive"],
    summary: "One message with its headers and safe body",
    request: { params: MessagePath },
    responses: { 200: json(Opened, "The message."), ...PROBLEMS },
  }),
  async (c) => {
    const found = await archivedMessage(c.env, principalOf(c), c.req.valid("param").id);
    if (!found.ok) return problemResponse(c, found.error);
    const opened = await openMessage(c.env, found.value);
    return c.json({ ...itemView({ ...found.value, id: idOf(found.value) }), ...openedView(opened) }, 200);
  },
);

archiveApi.openapi(
  createRoute({
    method: "get",
    path: "/api/archive/{id}/raw",
    tags: ["archive"],
    summary: "The exact octets that were received, or a range of them",
    request: { params: MessagePath, headers: RangeHeader },
    responses: { ...octetsOf("message/rfc822"), ...PROBLEMS },
  }),
  async (c) => {
    const found = await archivedMessage(c.env, principalOf(c), c.req.valid("param").id);
    return found.ok ? rawResponse(c, found.value) : problemResponse(c, found.error);
  },
);

archiveApi.openapi(
  createRoute({
    method: "get",
    path: "/api/archive/{id}/attachments/{n}",
    tags: ["archive"],
    summary: "One attachment, decoded, or a range of it",
    request: { params: MessagePath.extend({ n: z.string().openapi({ example: "0" }) }), headers: RangeHeader },
    responses: { ...octetsOf("application/octet-stream"), ...PROBLEMS },
  }),
  async (c) => {
    const { id, n } = c.req.valid("param");
    const found = await archivedMessage(c.env, principalOf(c), id);
    return found.ok ? attachmentResponse(c, found.value, n, problemResponse) : problemResponse(c, found.error);
  },
);

const Redelivered = z
  .object({
    outcome: z.enum(["delivered", "refused", "unavailable", "portal"]).openapi({
      description: "`portal`: it is in the portal inbox, since the domain is in emergency mode.",
    }),
    detail: z.string(),
  })
  .openapi("Redelivered");

archiveApi.openapi(
  createRoute({
    method: "post",
    path: "/api/archive/{id}/redeliver",
    tags: ["archive"],
    summary: "Deliver it again: to the origin in normal mode, to the portal inbox in emergency",
    request: {
      params: MessagePath,
      body: {
        content: {
          "application/json": {
            schema: z.strictObject({
              to: z
                .string()
                .max(320)
                .optional()
                .openapi({ description: "A mailbox of the domain; absent: as it came." }),
            }),
          },
        },
      },
    },
    responses: { 200: json(Redelivered, "What became of it."), ...PROBLEMS },
  }),
  async (c) => {
    const principal = principalOf(c);
    const found = await archivedMessage(c.env, principal, c.req.valid("param").id);
    if (!found.ok) return problemResponse(c, found.error);
    const result = await redeliverMessage(c.env, c.executionCtx, principal, found.value, c.req.valid("json").to);
    return result.ok ? c.json(result.value, 200) : problemResponse(c, result.error);
  },
);
