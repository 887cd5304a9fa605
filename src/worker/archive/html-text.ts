/** HTML as text, for the index and the preview; and text as HTML, where a message has both. */
import { Parser } from "htmlparser2";

/** Not the head: pages in mail forget to end it, and what it may hold is hidden or no text by itself. */
const HIDDEN = new Set(["script", "style", "title", "template"]);
const BREAKS = new Set(["p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "hr"]);

export function htmlToText(html: string): string {
  const parts: string[] = [];
  let hidden = 0;
  const parser = new Parser(
    {
      onopentag(name) {
        if (HIDDEN.has(name)) hidden++;
        if (BREAKS.has(name)) parts.push("\n");
        if (name === "td" || name === "th") parts.push(" ");
      },
      ontext(text) {
        if (hidden === 0) parts.push(text);
      },
      onclosetag(name) {
        if (HIDDEN.has(name)) hidden = Math.max(0, hidden - 1);
        if (BREAKS.has(name)) parts.push("\n");
      },
    },
    { decodeEntities: true },
  );
  parser.end(html);
  return parts
    .join("")
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n[ \n]*/g, "\n")
    .trim();
}

/** Plain text among HTML, with its lines as they are. */
export function textToHtml(text: string): string {
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<div style="white-space:pre-wrap">${escaped}</div>`;
}
