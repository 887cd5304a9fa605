/**
 * A login on a submission port: `POST /gateway/login`, signed with its body. What the Worker answers is the reply to AUTH, and where it
 * is good a ticket: the gateway shows it with each transaction, so that it can speak for nobody who has not logged in, and a login
 * that was taken back is worth nothing at once.
 */
import { z } from "zod";
import type { Result } from "../../result.ts";
import { MAX_LOGIN, MAX_TICKET } from "../../send/limits.ts";
import { readFrame } from "./frames.ts";

export const LOGIN_PATH = "/gateway/login";

const login = z.strictObject({
  username: z.string().min(1).max(MAX_LOGIN),
  password: z.string().max(MAX_LOGIN),
  /** Of the client, for the throttle. */
  ip: z.string().max(100),
});

const answer = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("known"), ticket: z.string().min(1).max(MAX_TICKET) }),
  z.strictObject({
    kind: z.literal("refused"),
    code: z.int().min(400).max(599),
    enhanced: z.string().regex(/^[45]\.\d{1,3}\.\d{1,3}$/),
    text: z
      .string()
      .max(500)
      .regex(/^[^\0-\x1f\x7f]*$/),
  }),
]);

export type Login = z.infer<typeof login>;
export type LoginAnswer = z.infer<typeof answer>;

export const readLogin = (text: string): Result<Login, string> => readFrame(login, text);
export const readLoginAnswer = (text: string): Result<LoginAnswer, string> => readFrame(answer, text);
