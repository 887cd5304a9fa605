import { expect, test } from "vitest";
import { MAX_MESSAGE_BYTES } from "../../../../src/core/limits.ts";
import {
  type GatewayFrame,
  MAX_TEXT_FRAME,
  readGatewayFrame,
  readWorkerFrame,
  type WorkerFrame,
  writeFrame,
} from "../../../../src/core/protocol/gateway/frames.ts";

const mail = {
  op: "mail",
  client: { ip: "192.0.2.7", helo: "mx.example.net", protocol: "ESMTPS" },
  mail: { from: "", body: "8BITMIME", smtputf8: false },
} as const;

test.each<GatewayFrame>([
  mail,
  { ...mail, mail: { from: 'Jürgen"x@exämple.net', body: "7BIT", smtputf8: true, size: MAX_MESSAGE_BYTES } },
  { op: "rcpt", to: "Info+Tag@EXAMPLE.org" },
  { op: "data", size: 0 },
  { op: "abort" },
])("the Worker reads what a gateway writes: %j", (frame) => {
  expect(readGatewayFrame(writeFrame(frame))).toEqual({ ok: true, value: frame });
});

test.each<WorkerFrame>([
  { reply: { code: 250, text: "" } },
  { reply: { code: 550, enhanced: "5.1.1", text: "no such user\nask postmaster\tagain" } },
  { ack: 12 },
])("a gateway reads what the Worker writes: %j", (frame) => {
  expect(readWorkerFrame(writeFrame(frame))).toEqual({ ok: true, value: frame });
});

test.each([
  ["not JSON", "{"],
  ["frame: invalid_type", "null"],
  ["op: invalid_union", '{"op":"quit"}'],
  ["to: too_small", '{"op":"rcpt","to":""}'],
  ["to: invalid_format", '{"op":"rcpt","to":"a@example.org\\r\\nX"}'],
  ["to: too_big", JSON.stringify({ op: "rcpt", to: `${"a".repeat(250)}@x.test` })],
  ["frame: unrecognized_keys", '{"op":"rcpt","to":"a@example.org","bcc":"b@example.org"}'],
  ["size: too_big", JSON.stringify({ op: "data", size: MAX_MESSAGE_BYTES + 1 })],
  ["size: too_small", '{"op":"data","size":-1}'],
  ["mail: invalid_type", JSON.stringify({ op: "mail", client: mail.client })],
  [`a text frame of more than ${MAX_TEXT_FRAME} characters`, " ".repeat(MAX_TEXT_FRAME + 1)],
])("the Worker says %s and repeats nothing of the frame", (error, text) => {
  expect(readGatewayFrame(text)).toEqual({ ok: false, error });
});

test.each([
  '{"reply":{"code":199,"text":""}}',
  '{"reply":{"code":600,"text":""}}',
  '{"reply":{"code":250,"text":"two\\r\\n250 replies"}}',
  '{"reply":{"code":250,"enhanced":"3.0.0","text":""}}',
  '{"ack":1.5}',
  '{"ack":1,"reply":{"code":250,"text":""}}',
  "[]",
])("a gateway refuses %s", (text) => {
  expect(readWorkerFrame(text).ok).toBe(false);
});
