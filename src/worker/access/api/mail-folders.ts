/** The folders of the signed-in user's mailbox. */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_REQUEST_NAME } from "../../../core/limits.ts";
import { mailboxOf } from "../../mailbox/contract.ts";
import { alterFolder, folderCalled, folders, makeFolder, removeFolder } from "../../mailbox/folders.ts";
import type { Folder } from "../../store/folders.ts";
import { problemOfRefusal } from "../actions/mail.ts";
import type { AppContext } from "../context.ts";
import { invalid, notFound, problemResponse } from "../problem.ts";
import { body, json, newApi, PROBLEMS, page } from "./api.ts";
import { FolderCalled, folderName, userOf } from "./mail.ts";

const FolderSchema = z
  .object({
    id: z.string(),
    name: z
      .string()
      .openapi({ description: "The role; or the name of one of the user's own at the top, else its number." }),
    title: z.string().openapi({ description: "What it is called among those beside it." }),
    parent: z
      .string()
      .nullable()
      .openapi({ description: "The number of the folder that it lies in; null: at the top." }),
    role: z.enum(["inbox", "sent", "drafts", "trash", "junk", "archive"]).nullable(),
    subscribed: z.boolean(),
    messages: z.int().openapi({ description: "Without those that are marked for removal." }),
    unseen: z.int().openapi({ description: "Neither read, nor drafts, nor marked for removal." }),
    size: z.int().openapi({ description: "Octets of all messages in it." }),
    uidvalidity: z.int(),
    uidnext: z.int(),
    readOnly: z.boolean().openapi({ description: "The archive: nothing is put there, marked or removed by hand." }),
  })
  .openapi("Folder");

function folderView(folder: Folder): z.infer<typeof FolderSchema> {
  const { id, name, parent, role, subscribed, size, uidvalidity, uidnext } = folder;
  return {
    id: String(id),
    name: folderName(folder),
    title: name,
    parent: parent === 0 ? null : String(parent),
    role,
    subscribed,
    messages: folder.messages - folder.deleted,
    unseen: folder.unread,
    size,
    uidvalidity,
    uidnext,
    readOnly: role === "archive",
  };
}

const RequestName = z.string().min(1).max(MAX_REQUEST_NAME).optional().openapi({
  description: "What you call this request. Where its answer was lost, repeat it by the same name: it happens once.",
  example: "7f9c2ba4-e88f-4c3b-9d3c-1f0e0a3f5f11",
});

/** The header that names a request. */
export const Repeatable = z.object({ "idempotency-key": RequestName });

const FolderPath = z.object({ folder: FolderCalled });
const none = (called: string) => notFound(`folder ${JSON.stringify(called)}`);

export const mailFoldersApi = newApi();

mailFoldersApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/folders",
    tags: ["mail"],
    summary: "The folders, the standard ones first",
    responses: { 200: json(page(FolderSchema), "All in one page."), ...PROBLEMS },
  }),
  async (c) => c.json({ items: (await folders(mailbox(c))).map(folderView), next: null }, 200),
);

const mailbox = (c: AppContext) => mailboxOf(c.env, userOf(c));

/** @returns 0 at the top; null where there is no such folder */
async function parentCalled(c: AppContext, called: string | null | undefined): Promise<number | null> {
  if (called === null || called === undefined) return 0;
  return (await folderCalled(mailbox(c), called))?.id ?? null;
}

const NO_PARENT = invalid("parent", "there is no such folder");

mailFoldersApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/folders",
    tags: ["mail"],
    summary: "Make a folder",
    request: {
      headers: Repeatable,
      body: body(z.strictObject({ name: z.string().max(1_000), parent: FolderCalled.nullish() })),
    },
    responses: { 201: json(FolderSchema, "Made, now or by an earlier request of this name."), ...PROBLEMS },
  }),
  async (c) => {
    const { name, parent } = c.req.valid("json");
    const inside = await parentCalled(c, parent);
    if (inside === null) return problemResponse(c, NO_PARENT);
    const request = c.req.valid("header")["idempotency-key"] ?? null;
    const made = await makeFolder(mailbox(c), { name, parent: inside, request }, Date.now());
    return made.ok ? c.json(folderView(made.value), 201) : problemResponse(c, problemOfRefusal(made.error));
  },
);

mailFoldersApi.openapi(
  createRoute({
    method: "patch",
    path: "/api/mail/folders/{folder}",
    tags: ["mail"],
    summary: "Call a folder otherwise, put it elsewhere, subscribe to it; its number and its messages' stay",
    request: {
      params: FolderPath,
      body: body(
        z.strictObject({
          name: z.string().max(1_000).optional(),
          parent: FolderCalled.nullable().optional().openapi({ description: "null: to the top." }),
          subscribed: z.boolean().optional(),
        }),
      ),
    },
    responses: { 200: json(FolderSchema, "As it is now."), ...PROBLEMS },
  }),
  async (c) => {
    const { folder: called } = c.req.valid("param");
    const { name, parent, subscribed } = c.req.valid("json");
    const found = await folderCalled(mailbox(c), called);
    if (!found) return problemResponse(c, none(called));
    const inside = await parentCalled(c, parent);
    if (inside === null) return problemResponse(c, NO_PARENT);
    const altered = await alterFolder(mailbox(c), found.id, {
      ...(name !== undefined && { name }),
      ...(parent !== undefined && { parent: inside }),
      ...(subscribed !== undefined && { subscribed }),
    });
    return altered.ok ? c.json(folderView(altered.value), 200) : problemResponse(c, problemOfRefusal(altered.error));
  },
);

mailFoldersApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/mail/folders/{folder}",
    tags: ["mail"],
    summary: "Delete a folder of the user's own; one with messages in it only where they are to go to the trash",
    request: { params: FolderPath, query: z.strictObject({ content: z.enum(["refuse", "trash"]).default("refuse") }) },
    responses: {
      200: json(
        z.object({
          moved: z.int().openapi({ description: "Messages that went to the trash." }),
          left: z.int().openapi({ description: "Messages still in it: repeat the request. 0: the folder is gone." }),
        }),
        "Deleted, or emptied in part.",
      ),
      ...PROBLEMS,
    },
  }),
  async (c) => {
    const { folder: called } = c.req.valid("param");
    const found = await folderCalled(mailbox(c), called);
    if (!found) return problemResponse(c, none(called));
    const removed = await removeFolder(mailbox(c), found.id, c.req.valid("query").content);
    return removed.ok ? c.json({ ...removed.value }, 200) : problemResponse(c, problemOfRefusal(removed.error));
  },
);
