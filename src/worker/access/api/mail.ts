/** The signed-in user's portal mailbox. */
import { createRoute, z } from "@hono/zod-openapi";
import { formatReply } from "../../../core/outcome.ts";
import { type OpenedMessage, openMessage } from "../../archive/read.ts";
import type { User } from "../../identity/principal.ts";
import { readFlags } from "../../store/flags.ts";
import { type Folder, listFolders } from "../../store/folders.ts";
import type { PlacedMessage } from "../../store/placements.ts";
import { shardDb } from "../../store/shard.ts";
import {
  changeMessage,
  deleteMessage,
  isWaiting,
  listFolderMessages,
  messageOf,
  NOT_DELIVERED_ANY_MORE,
  refusalOf,
} from "../actions/mail.ts";
import { type AppContext, principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, cut, instant, json, newApi, PageQuery, PROBLEMS, page } from "./api.ts";
import { MailAddressSchema, OpenedSchema } from "./messages.ts";

const FolderSchema = z
  .object({
    id: z.string(),
    name: z.string().openapi({ description: "The role, or the name of one of the user's own." }),
    title: z.string(),
    messages: z.int(),
    unseen: z.int(),
  })
  .openapi("Folder");

const MessageSchema = z
  .object({
    id: z.string().openapi({ description: "Changes when the message moves to another folder." }),
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

export const folderName = ({ role, name }: Folder): string => role ?? name;

export function messageView(row: PlacedMessage): z.infer<typeof MessageSchema> {
  const { seen, flagged, answered } = readFlags(row.flags);
  const refusal = refusalOf(row);
  return {
    id: String(row.id),
    subject: row.subject,
    from: [...row.meta.from],
    to: [...row.meta.to],
    cc: [...row.meta.cc],
    at: instant(row.at),
    size: row.size,
    preview: row.preview,
    attachments: row.meta.attachments.length,
    seen,
    flagged,
    answered,
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

export const mailApi = newApi();

mailApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/folders",
    tags: ["mail"],
    summary: "The folders, the standard ones first",
    responses: { 200: json(page(FolderSchema), "All in one page."), ...PROBLEMS },
  }),
  async (c) => {
    const user = userOf(c);
    const folders = await listFolders(shardDb(c.env, user.shard), user.mailbox);
    const items = folders.map((folder) => ({
      id: String(folder.id),
      name: folderName(folder),
      title: folder.name,
      messages: folder.messages,
      unseen: folder.unseen,
    }));
    return c.json({ items, next: null }, 200);
  },
);

mailApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/messages",
    tags: ["mail"],
    summary: "The messages of a folder, newest first",
    request: {
      query: PageQuery.extend({
        folder: z.string().min(1).max(255).default("inbox"),
        cursor: z
          .string()
          .regex(/^\d{1,16}$/, "is not a cursor of this list")
          .optional(),
      }),
    },
    responses: { 200: json(page(MessageSchema), "A page."), ...PROBLEMS },
  }),
  async (c) => {
    const { folder, cursor, limit } = c.req.valid("query");
    const before = cursor === undefined ? null : Number(cursor);
    const rows = await listFolderMessages(c.env, userOf(c), folder, before, limit + 1);
    if (!rows.ok) return problemResponse(c, rows.error);
    const { items, next } = cut(rows.value, limit, (row) => String(row.id));
    return c.json({ items: items.map(messageView), next }, 200);
  },
);

const MessagePath = z.object({ id: z.string() });

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
        z.strictObject({
          folder: z.string().min(1).max(255).optional(),
          seen: z.boolean().optional(),
          flagged: z.boolean().optional(),
        }),
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

function redelivery(cancelled: boolean) {
  return cancelled
    ? { redelivery: "cancelled" as const, notice: NOT_DELIVERED_ANY_MORE }
    : { redelivery: "unchanged" as const };
}
