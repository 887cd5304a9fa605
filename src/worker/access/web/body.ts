/**
 * A message's HTML as a document of its own, to be framed: with its own policy, under which nothing runs and nothing loads,
 * and in an origin of nobody's, where it is no page of ours. The sanitiser has been over it before; each holds alone.
 */
import type { AppContext } from "../context.ts";

const BODY_POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'self'",
  "sandbox allow-popups allow-popups-to-escape-sandbox",
].join("; ");

/** @param html from archive/safe-html.ts, and nothing else */
export function bodyDocument(c: AppContext, html: string): Response {
  return c.body(
    `<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Message</title>` +
      `<style>body{margin:12px;font:16px/1.5 system-ui,sans-serif;color:#17201c;background:#fff;overflow-wrap:anywhere}img{max-width:100%;height:auto}</style>` +
      `</head><body>${html}</body></html>`,
    200,
    {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": BODY_POLICY,
      "cache-control": "private, no-store",
    },
  );
}
