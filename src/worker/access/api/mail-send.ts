/** Sending as the signed-in user. */
import { createRoute, z } from "@hono/zod-openapi";
import { MAX_RECIPIENTS } from "../../../core/limits.ts";
import { formatReply } from "../../../core/outcome.ts";
import type { OutgoingRecipient } from "../../store/outgoing.ts";
import { messageOf } from "../actions/mail.ts";
import { deliveryOf, type SentMessage, sendWhole, sendWritten } from "../actions/send.ts";
import type { AppContext } from "../context.ts";
import { notFound, problemResponse } from "../problem.ts";
import { instant, json, newApi, PROBLEMS } from "./api.ts";
import { MessagePath, userOf } from "./mail.ts";
import { Repeatable } from "./mail-folders.ts";
import { octetsOfBody } from "./mail-octets.ts";

const Address = z.string().min(1, "is empty").max(1_000);
const Addresses = z
  .array(Address)
  .max(MAX_RECIPIENTS)
  .default([])
  .openapi({ example: ["Ann <ann@example.org>"] });

const Attachment = z
  .strictObject({
    name: z.string().min(1, "is empty").max(255),
    type: z
      .string()
      .regex(/^[\w.+-]{1,100}\/[\w.+-]{1,100}$/, "is not a media type")
      .optional(),
    content: z.string().optional().openapi({ description: "Base64." }),
    blob: z
      .string()
      .max(600)
      .optional()
      .openapi({ description: "In the stead of `content`: octets of your mailbox by name (see /api/mail/blobs)." }),
    contentId: z
      .string()
      .regex(/^[^\s<>"\\]{1,200}$/, "is not a content identifier")
      .optional()
      .openapi({ description: "Shown within the HTML, by `cid:…`." }),
  })
  .openapi("NewAttachment");

const NewMessage = z
  .strictObject({
    from: Address.optional().openapi({
      description: "Your own address or an alias of it, with a name or without. Absent: what the identity says.",
    }),
    identity: z.string().max(100).optional().openapi({
      description:
        "In the stead of `from`: the identity that gives name, address, reply addresses (where `replyTo` is empty) and further blind copies. Neither: the default one. Its signature is yours to put in.",
    }),
    to: Addresses,
    cc: Addresses,
    bcc: Addresses.openapi({ description: "Nobody sees them." }),
    replyTo: Addresses,
    subject: z.string().max(2_000).default(""),
    text: z.string().optional(),
    html: z.string().optional(),
    attachments: z.array(Attachment).max(100).default([]),
    inReplyTo: z.string().max(1_000).optional().openapi({
      description: "The `id` of the message that it answers, which is marked as answered, or a Message-ID.",
    }),
  })
  .openapi("NewMessage");

const Sent = z
  .object({
    id: z.string().nullable().openapi({ description: "The message in Sent; null: it has left it since." }),
    messageId: z.string(),
    isNew: z.boolean().openapi({ description: "false: an earlier request was the same, and nothing was sent again." }),
  })
  .openapi("SentMessage");

const DeliveryState = z
  .object({
    recipient: z.string(),
    state: z.enum(["waiting", "delivered", "refused", "expired", "cancelled"]),
    at: z.iso.datetime().openapi({ description: "Of the last change." }),
    next: z.iso.datetime().nullable().openapi({ description: "Of the next try." }),
    reply: z.string().nullable().openapi({ description: "What the mail server said last." }),
  })
  .openapi("DeliveryState");

export const mailSendApi = newApi();

mailSendApi.openapi(
  createRoute({
    method: "post",
    path: "/api/mail/messages",
    tags: ["mail"],
    summary:
      "Send a message; a copy is put into Sent, and into the archive. It is accepted once it is stored and queued",
    request: {
      headers: Repeatable,
      body: {
        required: true,
        content: {
          "application/json": { schema: NewMessage },
          "message/rfc822": {
            schema: z.string().openapi({
              format: "binary",
              description:
                "Goes to its To, Cc and Bcc, of which Bcc is taken out; a missing Date and Message-ID are added.",
            }),
          },
        },
      },
    },
    responses: { 201: json(Sent, "Accepted."), ...PROBLEMS },
  }),
  async (c) => {
    const request = c.req.valid("header")["idempotency-key"] ?? null;
    if (/^message\/rfc822\s*(;|$)/i.test(c.req.header("content-type") ?? "")) return whole(c, request);
    const written = c.req.valid("json");
    if (typeof written === "string") throw new Error("the body was not read by its schema");
    const sent = await sendWritten(c.env, c.executionCtx, userOf(c), written, request, Date.now());
    return sent.ok ? c.json(sentView(sent.value), 201) : problemResponse(c, sent.error);
  },
);

async function whole(c: AppContext, request: string | null) {
  const came = await octetsOfBody(c);
  if ("status" in came) return problemResponse(c, came);
  try {
    const { octets: chunks, size } = came.message;
    const sent = await sendWhole(c.env, c.executionCtx, userOf(c), { chunks, size }, request, Date.now());
    return sent.ok ? c.json(sentView(sent.value), 201) : problemResponse(c, sent.error);
  } finally {
    came.giveBack();
  }
}

const sentView = ({ placement, messageId, isNew }: SentMessage): z.infer<typeof Sent> => ({
  id: placement === null ? null : String(placement),
  messageId,
  isNew,
});

mailSendApi.openapi(
  createRoute({
    method: "get",
    path: "/api/mail/messages/{id}/delivery",
    tags: ["mail"],
    summary: "What has become of a message that was sent from here, recipient by recipient; kept for 14 days",
    request: { params: MessagePath },
    responses: { 200: json(z.object({ items: z.array(DeliveryState) }), "Each recipient."), ...PROBLEMS },
  }),
  async (c) => {
    const found = await messageOf(c.env, userOf(c), c.req.valid("param").id);
    if (!found.ok) return problemResponse(c, found.error);
    const recipients = await deliveryOf(c.env, userOf(c), found.value);
    if (!recipients) return problemResponse(c, notFound("such message among those that were sent within 14 days"));
    return c.json({ items: recipients.map(stateView) }, 200);
  },
);

export function stateView({ recipient, state, at, dueAt, outcome }: OutgoingRecipient): z.infer<typeof DeliveryState> {
  return {
    recipient,
    state,
    at: instant(at),
    next: state === "waiting" && dueAt !== null ? instant(dueAt) : null,
    reply: outcome?.reply ? formatReply(outcome.reply) : null,
  };
}
