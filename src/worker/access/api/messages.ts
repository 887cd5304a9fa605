/** What messages look like from outside, in the archive and in the portal alike. */
import { z } from "@hono/zod-openapi";
import { markup, type Piece } from "../../../core/query/highlight.ts";
import type { Snippet } from "../../search/snippets.ts";

export const MailAddressSchema = z.object({ name: z.string(), address: z.string() });

/** Parts of a message that is opened. */
export const OpenedSchema = z.object({
  headers: z.array(z.object({ name: z.string(), value: z.string() })).openapi({
    description: "Every field in its order, decoded.",
  }),
  text: z.string(),
  html: z.string().nullable().openapi({
    description: "Safe to show: no script, no form, nothing that loads from elsewhere; null: there is none.",
  }),
  blockedImages: z.int().openapi({ description: "What would have loaded from elsewhere and was taken out." }),
  attachments: z.array(
    z.object({
      n: z.int(),
      name: z.string(),
      type: z.string(),
      size: z.int(),
      inline: z.boolean(),
      contentId: z.string().nullable(),
    }),
  ),
});

const MARKED = "As HTML, escaped, with <mark> around what was searched for; null where none of it is there.";

/** Of a message that was found: where what was searched for stands in it. */
export const HIGHLIGHTS = {
  highlights: z
    .object({
      subject: z.string().nullable().openapi({ description: MARKED }),
      preview: z
        .string()
        .nullable()
        .openapi({ description: `${MARKED} The part of the text where most of it stands.` }),
    })
    .optional()
    .openapi({ description: "Where it was asked for." }),
};

export const HighlightsAsked = z.enum(["true", "false"]).default("false").openapi({
  description:
    "Whether each message says where the words stand; of the first ones of a page its octets are read for it.",
});

export function highlightsOf(snippet: Snippet | undefined) {
  const marked = (pieces: readonly Piece[] | null | undefined) => (pieces ? markup(pieces) : null);
  return { highlights: { subject: marked(snippet?.subject), preview: marked(snippet?.preview) } };
}

/** Octets of mail are shown to nobody's browser as a page of ours: always a download, never guessed at. */
export function octetsHeaders(type: string, name: string): Record<string, string> {
  return {
    "content-type": type,
    "content-disposition": `attachment; filename="${asciiName(name)}"; filename*=UTF-8''${encodeName(name)}`,
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
  };
}

/** RFC 6266 §4.3, appendix D: a plain name for those who read nothing else. */
const asciiName = (name: string): string => name.replace(/[^\x20-\x7e]|["\\/%]/g, "_").slice(0, 150) || "attachment";

/** RFC 8187 §3.2.1: what encodeURIComponent leaves and attr-char does not. */
function encodeName(name: string): string {
  const whole = [...name].slice(0, 150).join("").toWellFormed() || "attachment";
  return encodeURIComponent(whole).replace(/['()*!]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
