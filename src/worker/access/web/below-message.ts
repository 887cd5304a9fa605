/** What lies below a message's page, in the webmail and in the archive alike: its body as a document, its octets, its parts. */
import type { Hono } from "hono";
import type { Result } from "../../../core/result.ts";
import { openMessage, type StoredMessage } from "../../archive/read.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { attachmentResponse, rawResponse } from "../octets.ts";
import { notFound, type Problem } from "../problem.ts";
import { bodyDocument } from "./body.ts";
import { pageProblem } from "./problem-page.tsx";

/**
 * @param path of the message's page, with `:id`
 * @param find the message, if whoever asks may see it
 */
export function addBelowMessage(
  pages: Hono<AppEnv>,
  path: string,
  find: (c: AppContext, id: string) => Promise<Result<StoredMessage, Problem>>,
): void {
  const found = (c: AppContext) => find(c, c.req.param("id") ?? "");

  pages.get(`${path}/body`, async (c) => {
    const message = await found(c);
    if (!message.ok) return pageProblem(c, message.error);
    const { html } = await openMessage(c.env, message.value);
    return html === null ? pageProblem(c, notFound("HTML in this message")) : bodyDocument(c, html);
  });

  pages.get(`${path}/raw`, async (c) => {
    const message = await found(c);
    return message.ok ? rawResponse(c, message.value) : pageProblem(c, message.error);
  });

  pages.get(`${path}/attachments/:n`, async (c) => {
    const message = await found(c);
    if (!message.ok) return pageProblem(c, message.error);
    return attachmentResponse(c, message.value, c.req.param("n"), pageProblem);
  });
}
