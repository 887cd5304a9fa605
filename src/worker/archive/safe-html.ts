/**
 * HTML mail that harms nobody: no script, no form, no page furniture, and nothing that loads from elsewhere. It is shown in a
 * sandboxed frame under a policy of its own besides.
 */
import sanitizeHtml from "sanitize-html";

export interface SafeHtml {
  readonly html: string;
  /** Things that would have loaded from elsewhere. */
  readonly blocked: number;
}

const TAGS = (
  "a abbr address article b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em " +
  "figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q rp rt ruby s samp " +
  "section small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr"
).split(" ");

const LENGTH = /^(?:auto|0|-?\d{1,4}(?:\.\d{1,3})?(?:px|pt|em|rem|ex|%)?)$/;
const LENGTHS = /^(?:(?:auto|0|-?\d{1,4}(?:\.\d{1,3})?(?:px|pt|em|rem|%)?)(?:\s+|$)){1,4}$/;
const COLOR = /^(?:#[0-9a-f]{3,8}|[a-z]{3,24}|rgba?\([\d\s.,%]{3,40}\))$/i;
const WORD = /^[a-z-]{1,24}$/i;
/** Widths, styles and colours, never a function: `url()` loads. */
const BORDER = /^[a-z0-9#.\s%-]{1,60}$/i;

const STYLES: Record<string, RegExp[]> = {
  color: [COLOR],
  "background-color": [COLOR],
  "font-family": [/^[a-z0-9\s,'"-]{1,200}$/i],
  "font-size": [LENGTH, WORD],
  "font-style": [WORD],
  "font-weight": [WORD, /^\d{3}$/],
  "line-height": [LENGTH],
  "letter-spacing": [LENGTH],
  "text-align": [WORD],
  "text-decoration": [WORD],
  "text-transform": [WORD],
  "vertical-align": [WORD, LENGTH],
  "white-space": [WORD],
  "border-collapse": [WORD],
  "border-spacing": [LENGTHS],
  "border-radius": [LENGTHS],
  ...Object.fromEntries(["", "-top", "-right", "-bottom", "-left"].map((side) => [`border${side}`, [BORDER]])),
  ...Object.fromEntries(["", "-top", "-right", "-bottom", "-left"].map((side) => [`padding${side}`, [LENGTHS]])),
  ...Object.fromEntries(["", "-top", "-right", "-bottom", "-left"].map((side) => [`margin${side}`, [LENGTHS]])),
  width: [LENGTH],
  "max-width": [LENGTH],
  "min-width": [LENGTH],
  height: [LENGTH],
};

/** Attributes that load something where they stand. */
const LOADING = ["src", "srcset", "background", "poster", "data", "lowsrc", "dynsrc"];
const REMOTE = /^\s*(?:https?:|ftp:|\/\/)/i;
const ABSOLUTE = /^\s*[a-z][a-z0-9+.-]*:/i;
const REMOTE_STYLE = /url\s*\(|image-set\s*\(|@import/i;

/** @param html as the message has it, of any quality */
export function safeHtml(html: string): SafeHtml {
  let blocked = 0;
  const count = (attributes: Record<string, string>) => {
    for (const name of LOADING) if (REMOTE.test(attributes[name] ?? "")) blocked++;
    if (REMOTE_STYLE.test(attributes.style ?? "")) blocked++;
  };
  const clean = sanitizeHtml(html, {
    allowedTags: TAGS,
    allowedAttributes: {
      "*": ["style", "dir", "lang", "title", "align", "valign", "width", "height", "bgcolor", "color"],
      a: ["href", "target", "rel"],
      font: ["face", "size", "color"],
      img: ["src", "alt"],
      ol: ["start", "type"],
      table: ["border", "cellpadding", "cellspacing", "summary"],
      td: ["colspan", "rowspan", "nowrap"],
      th: ["colspan", "rowspan", "scope"],
    },
    allowedSchemes: ["http", "https", "mailto", "tel"],
    // What a message brings with it stays; `cid:` is filled in by who shows it.
    allowedSchemesByTag: { img: ["cid"] },
    allowProtocolRelative: false,
    allowedStyles: { "*": STYLES },
    nonTextTags: [
      "script",
      "style",
      "textarea",
      "option",
      "noscript",
      "title",
      "template",
      "svg",
      "math",
      "iframe",
      "object",
    ],
    nestingLimit: 200,
    transformTags: {
      "*": (tagName, attribs) => {
        count(attribs);
        if (tagName === "img" && !/^cid:/i.test(attribs.src ?? "")) delete attribs.src;
        if (tagName === "link" && REMOTE.test(attribs.href ?? "")) blocked++;
        return { tagName, attribs };
      },
      // A relative address would be one of our own pages.
      a: (tagName, { href, ...attribs }) => ({
        tagName,
        attribs: {
          ...(ABSOLUTE.test(href ?? "") && { href: href ?? "" }),
          ...attribs,
          target: "_blank",
          rel: "noopener noreferrer",
        },
      }),
    },
  });
  return { html: clean, blocked };
}
