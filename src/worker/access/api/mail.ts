/** The signed-in user's portal mailbox. */
import { createRoute, z } from "@hono/zod-openapi";
import { readKeyword } from "../../../core/keyword.ts";
import { MAX_ACT, MAX_KEYWORDS } from "../../../core/limits.ts";
import { formatReply } from "../../../core/outcome.ts";
import { type OpenedMessage, openMessage } from "../../archive/read.ts";
import type { User } from "../../identity/principal.ts";
import { blobId } from "../../mailbox/blobs.ts";
import { mailboxOf } from "../../mailbox/contract.ts";
import { readThread } from "../../mailbox/reading.ts";
import { snippetsOf } from "../../search/snippets.ts";
import { readFlags, readKeywords } from "../../store/flags.ts";
import { type Folder, STANDARD_FOLDERS } from "../../store/folders.ts";
import type { PlacedMessage } from "../../store/placements.ts";
import {
  changeMessage,
  deleteMessage,
  isWaiting,
  listFolderMessages,
  messageOf,
  NOT_DELIVERED_ANY_MORE,
  refusalOf,
  searchFolderMessages,
} from "../actions/mail.ts";
import { type AppContext, principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, cut, instant, json, newApi, PageQuery, PROBLEMS, page, SEARCHABLE, searchable } from "./api.ts";
import { HIGHLIGHTS, HighlightsAsked, highlightsOf, MailAddressSchema, OpenedSchema } from "./messages.ts";

const MessageSchema = z
  .object({
    id: z.string().openapi({ description: "Changes when the message moves to another folder." }),
    folder: z.string().openapi({ description: "The number of its folder." }),
    uid: z.int(),
    thread: z.string().openapi({ description: "Shared by the messages of a conversation." }),
    blob: z.string().openapi({ description: "Names its octets, wherever it lies." }),
    modseq: z.int().openapi({ description: "The state in which it last changed." }),
    subject: z.string(),
    from: z.array(MailAddressSchema),
    to: z.array(MailAddressSchema),
    cc: z.array(MailAddressSchema),
    at: z.iso.datetime(),
    size: z.int(),
    preview: z.string(),
    attachments: z.int(),
    seen: z.boolean(),
    flagged: z.boolean(),
    answered: z.boolean(),
    draft: z.boolean(),
    deleted: z.boolean().openapi({ description: "Marked for removal, by a client that works like that." }),
    keywords: z.array(z.string()),
    waiting: z.boolean().openapi({ description: "Still to be delivered to the domain's own mail server." }),
    refused: z.string().nullable().openapi({ description: "The mail server's words where it would not take it." }),
  })
  .openapi("Message");

const OpenedMessageSchema = MessageSchema.extend(OpenedSchema.shape).openapi("OpenedMessage");

const ChangedSchema = MessageSchema.extend({
  redelivery: z.enum(["unchanged", "cancelled"]),
  notice: z.string().optional().openapi({ description: "To be shown to the person, where redelivery was cancelled." }),
}).openapi("ChangedMessage");

export function userOf(c: AppContext): User {
  const principal = principalOf(c);
  if (principal.kind !== "user") throw new Error(`the route ${c.req.path} has no guard for users`);
  return principal;
}

/** What a folder is called in paths and queries: its role; the name of one at the top; else, and where that is a role's, its number. */
export function folderName({ id, role, name, parent }: Folder): string {
  if (role !== null) return role;
  return parent === 0 && !ROLES.has(name.toLowerCase()) && !/^\d/.test(name) ? name : String(id);
}

const ROLES: ReadonlySet<string> = new Set(STANDARD_FOLDERS.map(({ role }) => role));

export function messageView(row: PlacedMessage): z.infer<typeof MessageSchema> {
  const refusal = refusalOf(row);
  return {
    id: String(row.id),
    folder: String(row.folder),
    uid: row.uid,
    thread: String(row.thread),
    blob: blobId({ account: row.account, message: row.message, section: null }),
    modseq: row.modseq,
    subject: row.subject,
    from: [...row.meta.from],
    to: [...row.meta.to],
    cc: [...row.meta.cc],
    at: instant(row.at),
    size: row.size,
    preview: row.preview,
    attachments: row.meta.attachments.length,
    ...readFlags(row.flags),
    keywords: readKeywords(row.keywords),
    waiting: isWaiting(row),
    refused: refusal && formatReply(refusal),
  };
}

export function openedView(opened: OpenedMessage): z.infer<typeof OpenedSchema> {
  return {
    headers: opened.headers.map(({ name, value }) => ({ name, value })),
    text: opened.text,
    html: opened.html,
    blockedImages: opened.blocked,
    attachments: opened.attachments.map((part) => ({ ...part })),
  };
}

/** What a folder is called from outside. */
export const FolderCalled = z.string().min(1).max(255);

/** Those that are absent stay as they are. */
export const FlagChanges = {
  seen: z.boolean().optional(),
  flagged: z.boolean().optional(),
  answered: z.boolean().optional(),
  draft: z.boolean().optional(),
  deleted: z.boolean().optional(),
};

const Keyword = z.string().transform((text, context) => {
  const read = readKeyword(text);
  if (read.ok) return read.value;
  context.addIssue({ code: "custom", message: read.error });
  return z.NEVER;
});
const Keywords = z
  .array(Keyword)
  .max(MAX_KEYWORDS)
  .openapi({ type: "array", items: { type: "string" } });

export const KeywordChange = z
  .strictObject({ add: Keywords.default([]), remove: z.union([z.literal("all"), Keywords]).default([]) })
  .openapi("KeywordChange", { description: "`all` takes away every other keyword." });

const FoundSchema = MessageSchema.extend(HIGHLIGHTS).openapi("FoundMailMessage");

export const mailApi = newApi();

mailApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/messages",
    tags: ["mail"],
    summary: "The messages of a folder, newest first; or those of a conversation over all folders, oldest first",
    request: {
      query: PageQuery.extend({
        folder: FolderCalled.default("inbox").openapi({
          description:
            "A role, the name of a folder at the top, or a number. `archive`: what came and went within 90 days.",
        }),
        q: z.string().max(500).optional().openapi({
          description:
            "What to find in the folder, as typed into a search box (docs/search.md). A page may be short and have a next one.",
        }),
        highlights: HighlightsAsked,
        thread: z
          .string()
          .regex(/^\d{1,16}$/, "is no conversation")
          .optional()
          .openapi({ description: "All of it in one page, up to 1,000 messages." }),
        cursor: z
          .string()
          .regex(/^\d{1,16}$/, "is not a cursor of this list")
          .optional(),
      }),
    },
    responses: { 200: json(page(FoundSchema).extend(SEARCHABLE), "A page."), ...PROBLEMS },
  }),
  async (c) => {
    const { folder, q = "", highlights, thread, cursor, limit } = c.req.valid("query");
    if (thread !== undefined) {
      const all = await readThread(mailboxOf(c.env, userOf(c)), Number(thread), MAX_ACT);
      return c.json({ items: all.map(messageView), next: null }, 200);
    }
    const before = cursor === undefined ? null : Number(cursor);
    if (q.trim() !== "") {
      const found = await searchFolderMessages(c.env, userOf(c), { folder, q }, before, limit);
      if (!found.ok) return problemResponse(c, found.error);
      const next = found.value.before === null ? null : String(found.value.before);
      const rest = { next, ...searchable(found.value.since) };
      const rows = found.value.items;
      if (highlights === "false") return c.json({ items: rows.map(messageView), ...rest }, 200);
      const snippets = await snippetsOf(c.env.MAIL, found.value.query, rows);
      const items = rows.map((row, index) => ({ ...messageView(row), ...highlightsOf(snippets[index]) }));
      return c.json({ items, ...rest }, 200);
    }
    const rows = await listFolderMessages(c.env, userOf(c), folder, before, limit + 1);
    if (!rows.ok) return problemResponse(c, rows.error);
    const { items, next } = cut(rows.value, limit, (row) => String(row.id));
    return c.json({ items: items.map(messageView), next }, 200);
  },
);

export const MessagePath = z.object({ id: z.string() });

mailApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/messages/{id}",
    tags: ["mail"],
    summary: "One message with its headers and safe body; reading does not mark it",
    request: { params: MessagePath },
    responses: { 200: json(OpenedMessageSchema, "The message."), ...PROBLEMS },
  }),
  async (c) => {
    const found = await messageOf(c.env, userOf(c), c.req.valid("param").id);
    if (!found.ok) return problemResponse(c, found.error);
    const opened = await openMessage(c.env, found.value);
    return c.json({ ...messageView(found.value), ...openedView(opened) }, 200);
  },
);

mailApi.openapi(
  createRoute({
    method: "patch",
    path: "/api/mail/messages/{id}",
    tags: ["mail"],
    summary: "Move or mark; moving a waiting message cancels its redelivery",
    request: {
      params: MessagePath,
      body: body(
        z.strictObject({ folder: FolderCalled.optional(), ...FlagChanges, keywords: KeywordChange.optional() }),
      ),
    },
    responses: { 200: json(ChangedSchema, "As it is now."), ...PROBLEMS },
  }),
  async (c) => {
    const acted = await changeMessage(c.env, userOf(c), c.req.valid("param").id, c.req.valid("json"));
    if (!acted.ok) return problemResponse(c, acted.error);
    const { message, cancelled } = acted.value;
    if (!message) throw new Error("a changed message is not there");
    return c.json({ ...messageView(message), ...redelivery(cancelled) }, 200);
  },
);

mailApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/mail/messages/{id}",
    tags: ["mail"],
    summary: "Into the trash, out of the trash for good; deleting a waiting message cancels its redelivery",
    request: { params: MessagePath },
    responses: {
      200: json(
        z.object({
          id: z.string().nullable().openapi({ description: "Its number in the trash; null: it is gone for good." }),
          redelivery: z.enum(["unchanged", "cancelled"]),
          notice: z.string().optional(),
        }),
        "Deleted.",
      ),
      ...PROBLEMS,
    },
  }),
  async (c) => {
    const acted = await deleteMessage(c.env, userOf(c), c.req.valid("param").id);
    if (!acted.ok) return problemResponse(c, acted.error);
    const { message, cancelled } = acted.value;
    return c.json({ id: message ? String(message.id) : null, ...redelivery(cancelled) }, 200);
  },
);

export function redelivery(cancelled: boolean) {
  return cancelled
    ? { redelivery: "cancelled" as const, notice: NOT_DELIVERED_ANY_MORE }
    : { redelivery: "unchanged" as const };
}
