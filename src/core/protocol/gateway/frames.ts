/**
 * What a gateway and the Worker say on the WebSocket of one SMTP transaction.
 *
 *   gateway: mail, rcpt (-> reply), rcpt (-> reply) …, data, octets … (-> ack …) -> reply, and the Worker closes
 *
 * On a submission port `mail` says who submits, and has a reply of its own.
 *
 * Text frames are JSON; binary frames are octets of the message, in order, GATEWAY_FRAME_BYTES at most. `ack` counts the
 * binary frames that were taken so far: a gateway has GATEWAY_WINDOW of them under way and no more. A final reply may come
 * before all octets were sent; then the rest is not sent. Each side checks what the other says.
 */
import { z } from "zod";
import { MAX_MESSAGE_BYTES, MAX_PATH_BYTES } from "../../limits.ts";
import type { Reply } from "../../outcome.ts";
import { err, ok, type Result } from "../../result.ts";
import { MAX_TICKET } from "../../send/limits.ts";

/** A path without its angle brackets. Control characters would end up in headers and logs. */
const path = z
  .string()
  .max(MAX_PATH_BYTES - 2)
  .regex(/^[^\0-\x1f\x7f]*$/);
const name = z
  .string()
  .max(300)
  .regex(/^[^\0-\x1f\x7f]*$/);
const size = z.int().min(0).max(MAX_MESSAGE_BYTES);

const submitter = z.strictObject({
  /** From login.ts: of whoever has logged in. */
  ticket: z.string().max(MAX_TICKET).optional(),
  /** SHA-256 of the client's certificate (DER), hexadecimal: it has shown that it has the key. */
  certificate: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});

const mailFrame = z.strictObject({
  op: z.literal("mail"),
  client: z.strictObject({ ip: name, helo: name, protocol: name }),
  mail: z.strictObject({
    from: path,
    body: z.enum(["7BIT", "8BITMIME"]),
    smtputf8: z.boolean(),
    size: size.optional(),
  }),
  submitter: submitter.optional(),
});
const gatewayFrame = z.discriminatedUnion("op", [
  mailFrame,
  z.strictObject({ op: z.literal("rcpt"), to: path.min(1) }),
  z.strictObject({ op: z.literal("data"), size }),
  z.strictObject({ op: z.literal("abort") }),
]);

const reply = z.strictObject({
  code: z.int().min(200).max(599),
  enhanced: z
    .string()
    .regex(/^[245]\.\d{1,3}\.\d{1,3}$/)
    .optional(),
  // Lines are separated by a line feed; no other control character may reach the wire.
  text: z
    .string()
    .max(8_192)
    .regex(/^[^\0-\x08\x0b-\x1f\x7f]*$/),
});
const workerFrame = z.union([z.strictObject({ reply }), z.strictObject({ ack: z.int().min(0) })]);

export type GatewayFrame = z.infer<typeof gatewayFrame>;
/** With neither: known by its address, or not at all. */
export type Submitter = z.infer<typeof submitter>;
export type MailFrame = z.infer<typeof mailFrame>;
export type WorkerFrame = { readonly reply: Reply } | { readonly ack: number };

export const readGatewayFrame = (text: string): Result<GatewayFrame, string> => readFrame(gatewayFrame, text);

export function readWorkerFrame(text: string): Result<WorkerFrame, string> {
  const frame = readFrame(workerFrame, text);
  if (!frame.ok || "ack" in frame.value) return frame as Result<WorkerFrame, string>;
  const { code, enhanced, text: words } = frame.value.reply;
  return ok({ reply: enhanced === undefined ? { code, text: words } : { code, enhanced, text: words } });
}

export const writeFrame = (frame: GatewayFrame | WorkerFrame): string => JSON.stringify(frame);

/** The longest text frame that either side takes: a mail frame with two paths in four-octet characters fits many times. */
export const MAX_TEXT_FRAME = 16 * 1024;

/** @returns what is wrong, without what was said */
export function readFrame<T>(schema: z.ZodType<T>, text: string): Result<T, string> {
  if (text.length > MAX_TEXT_FRAME) return err(`a text frame of more than ${MAX_TEXT_FRAME} characters`);
  const json = parseJson(text);
  if (!json.ok) return json;
  const parsed = schema.safeParse(json.value);
  if (parsed.success) return ok(parsed.data);
  // The path and the rule, never the value: addresses do not belong in logs of protocol errors.
  const issue = parsed.error.issues[0];
  return err(`${issue?.path.join(".") || "frame"}: ${issue?.code ?? "invalid"}`);
}

function parseJson(text: string): Result<unknown, string> {
  try {
    return ok(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return err("not JSON");
    throw error;
  }
}
