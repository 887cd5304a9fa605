/** Octets of the signed-in user's mailbox: messages as they are stored, parts of them, and messages put into a folder. */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_BUFFERED_BYTES, MAX_MESSAGE_BYTES } from "../../../core/limits.ts";
import { isSection } from "../../../core/section.ts";
import { partOf } from "../../archive/read.ts";
import { appendMessage, type NewMessage } from "../../mailbox/append.ts";
import { findBlob, readBlobId } from "../../mailbox/blobs.ts";
import { mailboxOf } from "../../mailbox/contract.ts";
import { folderCalled } from "../../mailbox/folders.ts";
import { admit } from "../../receive/memory.ts";
import { flagChange } from "../../store/flags.ts";
import { messageOf, problemOfRefusal } from "../actions/mail.ts";
import type { AppContext } from "../context.ts";
import { attachmentResponse, octetsResponse, rawResponse } from "../octets.ts";
import { invalid, notFound, type Problem, problemResponse, unavailable } from "../problem.ts";
import { json, newApi, octetsOf, PROBLEMS, RangeHeader } from "./api.ts";
import { FolderCalled, KeywordChange, MessagePath, userOf } from "./mail.ts";
import { Repeatable } from "./mail-folders.ts";

export const mailOctetsApi = newApi();

const NO_PART = notFound("such part of this message");
const NO_BLOB = notFound("such octets in your mailbox");

mailOctetsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/messages/{id}/raw",
    tags: ["mail"],
    summary: "The exact octets of a message, or a range of them",
    request: { params: MessagePath, headers: RangeHeader },
    responses: { ...octetsOf("message/rfc822"), ...PROBLEMS },
  }),
  async (c) => {
    const found = await messageOf(c.env, userOf(c), c.req.valid("param").id);
    return found.ok ? rawResponse(c, found.value) : problemResponse(c, found.error);
  },
);

mailOctetsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/messages/{id}/attachments/{n}",
    tags: ["mail"],
    summary: "One attachment, decoded, or a range of it",
    request: { params: MessagePath.extend({ n: z.string().openapi({ example: "0" }) }), headers: RangeHeader },
    responses: { ...octetsOf("application/octet-stream"), ...PROBLEMS },
  }),
  async (c) => {
    const { id, n } = c.req.valid("param");
    const found = await messageOf(c.env, userOf(c), id);
    return found.ok ? attachmentResponse(c, found.value, n, problemResponse) : problemResponse(c, found.error);
  },
);

mailOctetsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/messages/{id}/parts/{section}",
    tags: ["mail"],
    summary: "One part by its number in IMAP (RFC 9051 §6.4.5.1), decoded, or a range of it",
    request: { params: MessagePath.extend({ section: z.string().openapi({ example: "2.1" }) }), headers: RangeHeader },
    responses: { ...octetsOf("application/octet-stream"), ...PROBLEMS },
  }),
  async (c) => {
    const { id, section } = c.req.valid("param");
    const found = await messageOf(c.env, userOf(c), id);
    if (!found.ok) return problemResponse(c, found.error);
    const part = isSection(section) ? await partOf(c.env, found.value, section) : null;
    if (!part) return problemResponse(c, NO_PART);
    return octetsResponse(c, part);
  },
);

mailOctetsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/blobs/{blob}",
    tags: ["mail"],
    summary: "Octets by name, wherever the message lies: a whole message, or with `-` and a part's number one part",
    request: {
      params: z.object({ blob: z.string().max(600).openapi({ example: "m7-1k-2_1" }) }),
      headers: RangeHeader,
    },
    responses: { ...octetsOf("application/octet-stream"), ...PROBLEMS },
  }),
  async (c) => {
    const name = readBlobId(c.req.valid("param").blob);
    const blob = name && (await findBlob(mailboxOf(c.env, userOf(c)), name));
    return blob ? octetsResponse(c, blob) : problemResponse(c, NO_BLOB);
  },
);

const Appended = z
  .object({
    id: z.string(),
    isNew: z.boolean().openapi({ description: "false: an earlier request of this name stored it." }),
  })
  .openapi("Appended");

const FLAG_NAMES = ["seen", "flagged", "answered", "draft"] as const;

mailOctetsApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/folders/{folder}/messages",
    tags: ["mail"],
    summary: "Put a message into a folder: an import, a draft. It is sent nowhere, and is none of the archive's",
    request: {
      params: z.object({ folder: FolderCalled }),
      headers: Repeatable,
      query: z.strictObject({
        flags: z.string().max(100).optional().openapi({ example: "seen,draft" }),
        keywords: z.string().max(10_000).optional().openapi({ description: "Separated by commas." }),
        at: z.iso.datetime({ offset: true }).optional().openapi({ description: "When it came; absent: now." }),
      }),
      body: { required: true, content: { "message/rfc822": { schema: z.string().openapi({ format: "binary" }) } } },
    },
    responses: { 201: json(Appended, "Stored."), ...PROBLEMS },
  }),
  async (c) => {
    const { folder } = c.req.valid("param");
    const mailbox = mailboxOf(c.env, userOf(c));
    const into = await folderCalled(mailbox, folder);
    if (!into) return problemResponse(c, notFound(`folder ${JSON.stringify(folder)}`));
    const marks = marksOf(c.req.valid("query"));
    if ("status" in marks) return problemResponse(c, marks);
    const came = await octetsOfBody(c);
    if ("status" in came) return problemResponse(c, came);
    const request = c.req.valid("header")["idempotency-key"] ?? null;
    const message = { folder: into.id, ...marks, ...came.message, request, domainId: userOf(c).domain };
    try {
      const appended = await appendMessage(mailbox, message, Date.now());
      if (!appended.ok) return problemResponse(c, problemOfRefusal(appended.error));
      return c.json({ id: String(appended.value.id), isNew: appended.value.isNew }, 201);
    } finally {
      came.giveBack();
    }
  },
);

function marksOf({
  flags = "",
  keywords = "",
  at,
}: {
  readonly flags?: string | undefined;
  readonly keywords?: string | undefined;
  readonly at?: string | undefined;
}): Pick<NewMessage, "flags" | "keywords" | "internalAt"> | Problem {
  const named = listOf(flags);
  const odd = named.find((name) => !FLAG_NAMES.some((one) => one === name));
  if (odd !== undefined) return invalid("flags", `must be of ${FLAG_NAMES.join(", ")}`);
  const words = KeywordChange.safeParse({ add: listOf(keywords) });
  if (!words.success) return invalid("keywords", words.error.issues[0]?.message ?? "are none");
  const set = Object.fromEntries(named.map((name) => [name, true]));
  return {
    flags: flagChange(set).add,
    keywords: words.data.add,
    internalAt: at === undefined ? null : Date.parse(at),
  };
}

const listOf = (text: string): string[] => text.split(",").flatMap((one) => one.trim() || []);

export interface Came {
  readonly message: Pick<NewMessage, "octets" | "size">;
  /** The room that it takes in memory. */
  readonly giveBack: () => void;
}

/** A message that is held whole may come without its length; a larger one streams, and the store has to know how long it is. */
export async function octetsOfBody(c: AppContext): Promise<Came | Problem> {
  if (!/^message\/rfc822\s*(;|$)/i.test(c.req.header("content-type") ?? "")) {
    return { status: 415, code: "media_type", detail: "Say what the body is: Content-Type: message/rfc822." };
  }
  const { body } = c.req.raw;
  const header = c.req.header("content-length");
  const size = header !== undefined && /^\d{1,10}$/.test(header) ? Number(header) : null;
  if (!body || size === 0) return EMPTY;
  if ((size ?? 0) > MAX_MESSAGE_BYTES) return tooLarge(MAX_MESSAGE_BYTES);
  const giveBack = admit(size ?? MAX_BUFFERED_BYTES);
  if (!giveBack) return unavailable("Too much mail is under way; try again in a moment.");
  if (size !== null) return { message: { octets: body, size }, giveBack };
  try {
    const message = await gathered(body);
    if ("size" in message) return { message, giveBack };
    giveBack();
    return message;
  } catch (error) {
    // Whoever sends has gone.
    giveBack();
    throw error;
  }
}

async function gathered(body: ReadableStream<Uint8Array>): Promise<Came["message"] | Problem> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    pieces.push(piece);
    if (size > MAX_BUFFERED_BYTES) {
      const detail = `A message of more than ${MAX_BUFFERED_BYTES} octets has to come with its Content-Length.`;
      return { status: 400, code: "length_required", detail };
    }
  }
  return size === 0 ? EMPTY : { octets: streamOf(pieces), size };
}

const EMPTY: Problem = { status: 422, code: "invalid", detail: "The body is empty: it is to be the message." };

async function* streamOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

const tooLarge = (most: number): Problem => ({
  status: 413,
  code: "too_large",
  detail: `The message is larger than ${most} octets.`,
});
