/** Many messages of the signed-in user's mailbox at once, and what has changed in it. */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_ACT, MAX_CHANGES } from "../../../core/limits.ts";
import { changesSince, currentState, formatState, readState } from "../../mailbox/changes.ts";
import { mailboxOf, refusal } from "../../mailbox/contract.ts";
import { folderCalled } from "../../mailbox/folders.ts";
import { copyMessages, markMessages, moveMessages, removeMessages } from "../../mailbox/messages.ts";
import { touchesArchive } from "../../mailbox/reading.ts";
import { flagChange } from "../../store/flags.ts";
import { problemOfRefusal } from "../actions/mail.ts";
import type { AppContext } from "../context.ts";
import { invalid, problemResponse } from "../problem.ts";
import { body, json, newApi, PROBLEMS } from "./api.ts";
import { FlagChanges, FolderCalled, KeywordChange, redelivery, userOf } from "./mail.ts";
import { Repeatable } from "./mail-folders.ts";

const Ids = z
  .array(z.string().regex(/^[1-9]\d{0,15}$/, "is the number of no message"))
  .min(1)
  .max(MAX_ACT)
  .openapi({ description: `At most ${MAX_ACT}.` });

const Done = z
  .object({
    items: z.array(
      z.object({
        id: z.string(),
        became: z
          .enum(["changed", "same", "modified", "being_delivered", "moved", "copied", "removed", "missing"])
          .openapi({
            description:
              "`same`: it was so before. `modified`: it changed after `unchangedSince`, and was left alone. `being_delivered`: " +
              "it goes to the mail server right now, and was left alone; try again. `missing`: there is none, or no more.",
          }),
        to: z.string().optional().openapi({ description: "Its number in the other folder." }),
      }),
    ),
    state: z.string().openapi({ description: "For `GET /api/mail/changes`." }),
    redelivery: z.enum(["unchanged", "cancelled"]),
    notice: z
      .string()
      .optional()
      .openapi({ description: "To be shown to the person, where redelivery was cancelled." }),
  })
  .openapi("Acts");

type Became = z.infer<typeof Done>["items"][number];

const mailbox = (c: AppContext) => mailboxOf(c.env, userOf(c));
const READ_ONLY = problemOfRefusal(refusal("read_only"));
const NO_TARGET = invalid("folder", "there is no such folder");

async function done(c: AppContext, items: Became[], cancelled: boolean) {
  return { items, state: String(await currentState(mailbox(c))), ...redelivery(cancelled) };
}

const all = (ids: readonly number[], became: Became["became"]): Became[] =>
  ids.map((id) => ({ id: String(id), became }));

export const mailActsApi = newApi();

mailActsApi.openapi(
  createRoute({
    method: "patch",
    path: "/api/mail/messages",
    tags: ["mail"],
    summary: "Mark many messages at once, each by itself",
    request: {
      body: body(
        z.strictObject({
          ids: Ids,
          ...FlagChanges,
          keywords: KeywordChange.optional(),
          unchangedSince: z.int().min(0).optional().openapi({ description: "Only those with no later `modseq`." }),
        }),
      ),
    },
    responses: { 200: json(Done, "What became of each."), ...PROBLEMS },
  }),
  async (c) => {
    const { ids: given, keywords, unchangedSince, ...flags } = c.req.valid("json");
    const ids = given.map(Number);
    if (await touchesArchive(mailbox(c), ids)) return problemResponse(c, READ_ONLY);
    const marked = await markMessages(mailbox(c), ids, {
      ...flagChange(flags),
      ...(keywords && { keywords }),
      ...(unchangedSince !== undefined && { unchangedSince }),
    });
    if (!marked.ok) return problemResponse(c, problemOfRefusal(marked.error));
    const { rows, missing, cancelled } = marked.value;
    const items = rows.map(({ id, became }) => ({
      id: String(id),
      became: became === "busy" ? ("being_delivered" as const) : became,
    }));
    return c.json(await done(c, [...items, ...all(missing, "missing")], cancelled.length > 0), 200);
  },
);

mailActsApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/messages/move",
    tags: ["mail"],
    summary: "Move many messages; those that wait for the mail server are not delivered there any more",
    request: { body: body(z.strictObject({ ids: Ids, folder: FolderCalled })) },
    responses: { 200: json(Done, "What became of each."), ...PROBLEMS },
  }),
  async (c) => {
    const { ids: given, folder } = c.req.valid("json");
    const ids = given.map(Number);
    if (await touchesArchive(mailbox(c), ids)) return problemResponse(c, READ_ONLY);
    const into = await folderCalled(mailbox(c), folder);
    if (!into) return problemResponse(c, NO_TARGET);
    const taking = await moveMessages(mailbox(c), ids, into.id);
    if (!taking.ok) return problemResponse(c, problemOfRefusal(taking.error));
    const { moved, busy, missing, cancelled } = taking.value;
    const items = moved.map(({ id, to }): Became => ({ id: String(id), became: "moved", to: String(to) }));
    const rest = [...all(busy, "being_delivered"), ...all(missing, "missing")];
    return c.json(await done(c, [...items, ...rest], cancelled.length > 0), 200);
  },
);

mailActsApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/messages/copy",
    tags: ["mail"],
    summary: "Copy many messages; a copy is never delivered to the mail server",
    request: { headers: Repeatable, body: body(z.strictObject({ ids: Ids, folder: FolderCalled })) },
    responses: { 200: json(Done, "What became of each."), ...PROBLEMS },
  }),
  async (c) => {
    const { ids, folder } = c.req.valid("json");
    const into = await folderCalled(mailbox(c), folder);
    if (!into) return problemResponse(c, NO_TARGET);
    const request = c.req.valid("header")["idempotency-key"] ?? null;
    const copying = await copyMessages(mailbox(c), ids.map(Number), into.id, request);
    if (!copying.ok) return problemResponse(c, problemOfRefusal(copying.error));
    const { copied, missing } = copying.value;
    const items = copied.map(({ id, to }): Became => ({ id: String(id), became: "copied", to: String(to) }));
    return c.json(await done(c, [...items, ...all(missing, "missing")], false), 200);
  },
);

mailActsApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/messages/delete",
    tags: ["mail"],
    summary: "Delete many messages for good, whichever folder they are in; the archive keeps what came and went",
    request: { body: body(z.strictObject({ ids: Ids })) },
    responses: { 200: json(Done, "What became of each."), ...PROBLEMS },
  }),
  async (c) => {
    const ids = c.req.valid("json").ids.map(Number);
    if (await touchesArchive(mailbox(c), ids)) return problemResponse(c, READ_ONLY);
    const removal = await removeMessages(mailbox(c), ids, { marked: false });
    if (!removal.ok) return problemResponse(c, problemOfRefusal(removal.error));
    const { removed, busy, cancelled } = removal.value;
    const items = [...all(removed, "removed"), ...all(busy, "being_delivered")];
    return c.json(await done(c, items, cancelled.length > 0), 200);
  },
);

const Numbers = z.array(z.string());
const ChangeSets = z.object({ created: Numbers, updated: Numbers, destroyed: Numbers });

mailActsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/changes",
    tags: ["mail"],
    summary: "What has changed since a state: folders and messages that came, are different, or went",
    request: {
      query: z.strictObject({
        since: z
          .string()
          .regex(/^\d{1,15}(-\d{1,15})?$/, "is no state of this mailbox")
          .optional()
          .openapi({ description: "`newState` of the answer before; absent: only the state of now is told." }),
        limit: z.coerce.number().int().min(1).max(MAX_CHANGES).default(MAX_CHANGES),
      }),
    },
    responses: {
      200: json(
        z
          .object({
            oldState: z.string(),
            newState: z.string(),
            hasMore: z.boolean().openapi({ description: "Ask again with `newState`." }),
            folders: ChangeSets,
            messages: ChangeSets.openapi({
              description: "Numbers in folders; a message that was moved went and came.",
            }),
          })
          .openapi("Changes"),
        "The changes; about `limit` of them.",
      ),
      ...PROBLEMS,
    },
  }),
  async (c) => {
    const { since, limit } = c.req.valid("query");
    if (since === undefined) {
      const state = String(await currentState(mailbox(c)));
      const nothing = { created: [], updated: [], destroyed: [] };
      return c.json({ oldState: state, newState: state, hasMore: false, folders: nothing, messages: nothing }, 200);
    }
    const state = readState(since);
    const changes = state && (await changesSince(mailbox(c), state, limit));
    if (!changes) {
      const detail =
        "What changed since that state is not known any more: read the folders anew, then ask from now on.";
      return problemResponse(c, { status: 409, code: "cannot_calculate_changes", detail });
    }
    const { oldState, newState, hasMore, folders, placements } = changes;
    const strings = (ids: readonly number[]) => ids.map(String);
    const ids = (rows: readonly { readonly id: number }[]) => rows.map(({ id }) => String(id));
    return c.json(
      {
        oldState: formatState(oldState),
        newState: formatState(newState),
        hasMore,
        folders: {
          created: strings(folders.created),
          updated: strings(folders.updated),
          destroyed: strings(folders.destroyed),
        },
        messages: {
          created: ids(placements.created),
          updated: ids(placements.updated),
          destroyed: ids(placements.destroyed),
        },
      },
      200,
    );
  },
);
