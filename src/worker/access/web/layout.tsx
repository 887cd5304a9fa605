/** The frame of every page. Pages work without script; a few say with one of our own what has changed (assets/live.js). */
import { html } from "hono/html";
import type { Child } from "hono/jsx";
import type { Principal } from "../../identity/principal.ts";
import type { AppContext } from "../context.ts";

/** Styles and images are our own, and there is no script but where a page has live parts. Mail's HTML has a document of its own (body.ts). */
const PAGE_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "frame-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

const LIVE_POLICY = [PAGE_POLICY, "script-src 'self'", "connect-src 'self'"].join("; ");

/** What makes a page's parts anew that have an `id` and `data-live`. */
export interface Live {
  /** The path of a stream of events. */
  readonly events: string;
  /** The state that the page shows; null: the stream says all at its beginning. */
  readonly state: number | null;
}

export type Section = "domains" | "mail" | "archive";

interface Frame {
  readonly title: string;
  readonly section?: Section;
  /** Colours the frame: the mode of the domain must be unmistakable on each of its pages. */
  readonly mode?: "normal" | "emergency";
  readonly live?: Live;
  readonly status?: 200 | 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 | 500 | 503;
}

export function page(c: AppContext, frame: Frame, content: Child): Response | Promise<Response> {
  const principal = c.get("principal") ?? null;
  c.header("content-security-policy", frame.live ? LIVE_POLICY : PAGE_POLICY);
  c.header("cache-control", "no-store");
  const document = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${frame.title} · Holdfast`}</title>
        <link rel="stylesheet" href="/holdfast.css" />
        <link rel="icon" href="/holdfast.svg" type="image/svg+xml" />
      </head>
      <body class={frame.mode === "emergency" ? "in-emergency" : ""}>
        <a class="skip" href="#content">
          Skip to the content
        </a>
        <header class="bar">
          <a class="mark" href="/">
            <span class="mark-sign" aria-hidden="true" />
            Holdfast
          </a>
          {principal && <Navigation principal={principal} section={frame.section} />}
          {principal && (
            <form class="who" method="post" action="/logout">
              <span class="who-name">{principal.name}</span>
              <button class="quiet" type="submit">
                Sign out
              </button>
            </form>
          )}
        </header>
        <main id="content">{content}</main>
        {frame.live && (
          <script src="/live.js" data-events={frame.live.events} data-state={frame.live.state ?? undefined} />
        )}
      </body>
    </html>
  );
  return c.html(html`<!doctype html>${document}`, frame.status ?? 200);
}

function Navigation({ principal, section }: { principal: Principal; section: Section | undefined }) {
  const links: [Section, string, string][] =
    principal.kind === "user"
      ? [
          ["mail", "/mail", "Mail"],
          ["archive", "/archive", "Archive"],
        ]
      : [
          ["domains", "/panel", "Domains"],
          ["archive", "/archive", "Archive"],
        ];
  return (
    <nav aria-label="Main">
      {links.map(([name, href, text]) => (
        <a href={href} aria-current={name === section ? "page" : undefined}>
          {text}
        </a>
      ))}
    </nav>
  );
}
