/** The archive's pages: search, read, deliver again. */
import { Hono } from "hono";
import { EXAMPLES } from "../../../core/query/operators.ts";
import { openMessage } from "../../archive/read.ts";
import { scopeOf } from "../../identity/principal.ts";
import type { ArchiveItem } from "../../search/archive.ts";
import { type Snippet, snippetsOf } from "../../search/snippets.ts";
import { directory } from "../../store/directory.ts";
import { listDomains } from "../../store/domains.ts";
import { type ArchivedMessage, archivedMessage, idOf, redeliverMessage, searchMail } from "../actions/archive.ts";
import { type AppContext, type AppEnv, principalOf } from "../context.ts";
import type { Problem } from "../problem.ts";
import { addBelowMessage } from "./below-message.ts";
import { Form } from "./form.ts";
import { page } from "./layout.tsx";
import { Marked, MessageBody, senderOf } from "./message-parts.tsx";
import { Choice, Done, Field, NotYetFound, ProblemNotice, ShortTime } from "./parts.tsx";
import { pageProblem } from "./problem-page.tsx";

export const archivePages = new Hono<AppEnv>();

const SHOWN = 50;
/** Of a page that is empty and not the last. */
export const FURTHER_BACK = "Nothing was found among the newest messages. Older ones have not been looked at yet.";
const OFFERED_DOMAINS = 200;

archivePages.get("/archive", async (c) => {
  const principal = principalOf(c);
  const domains =
    principal.kind === "user" ? [] : await listDomains(directory(c.env), scopeOf(principal), "", OFFERED_DOMAINS);
  const domain = principal.kind === "user" ? undefined : (c.req.query("domain") ?? domains[0]?.name);
  const q = c.req.query("q")?.trim() ?? "";
  if (principal.kind !== "user" && domain === undefined)
    return searchPage(c, { q, domains: [], items: [], next: null });
  const query = { ...(q !== "" && { q }), ...(domain !== undefined && { domain }) };
  const found = await searchMail(c.env, principal, query, c.req.query("cursor") ?? null, SHOWN);
  const names = domains.map(({ name }) => name);
  if (!found.ok) return searchPage(c, { q, domain, domains: names, items: [], next: null, problem: found.error });
  const { items, next, since } = found.value;
  const snippets = q === "" ? [] : await snippetsOf(c.env.MAIL, found.value.query, items);
  return searchPage(c, { q, domain, domains: names, items, snippets, next, since });
});

interface Search {
  readonly q: string;
  readonly domain?: string | undefined;
  readonly domains: readonly string[];
  readonly items: readonly ArchiveItem[];
  readonly snippets?: readonly Snippet[];
  readonly next: string | null;
  /** Unix milliseconds: older mail is not found yet. */
  readonly since?: number | null;
  readonly problem?: Problem;
}

function searchPage(c: AppContext, search: Search) {
  const { q, domain, domains, items, snippets = [], next, since, problem } = search;
  const more = new URLSearchParams({
    ...(q !== "" && { q }),
    ...(domain && { domain }),
    ...(next && { cursor: next }),
  });
  return page(
    c,
    { title: q === "" ? "Archive" : `${q} · Archive`, section: "archive", status: problem?.status ?? 200 },
    <>
      <h1>Archive</h1>
      <ProblemNotice problem={problem} />
      <form class="search" method="get" action="/archive">
        {domains.length > 1 && (
          <Choice
            name="domain"
            label="Domain"
            value={domain ?? ""}
            options={domains.map((name): [string, string] => [name, name])}
          />
        )}
        {domains.length === 1 && <input type="hidden" name="domain" value={domain} />}
        <Field name="q" label="Search for" type="search" value={q} />
        <button class="main" type="submit">
          Search
        </button>
      </form>
      <p class="hint">Every message of the last 90 days, as it was received.</p>
      <details class="hint">
        <summary>What can be searched for</summary>
        <ul>
          {EXAMPLES.map(([typed, found]) => (
            <li>
              <code>{typed}</code>: {found}
            </li>
          ))}
        </ul>
      </details>
      <NotYetFound since={since} />
      {items.length === 0 && !problem && (
        <p class="empty">{next ? FURTHER_BACK : q === "" ? "No messages yet." : "Nothing was found."}</p>
      )}
      {items.length > 0 && (
        <ul class="rows">
          {items.map((item, index) => (
            <Item item={item} snippet={snippets[index]} />
          ))}
        </ul>
      )}
      {next && (
        <a class="button" href={`/archive?${more}`}>
          Older messages
        </a>
      )}
    </>,
  );
}

function Item({ item, snippet }: { item: ArchiveItem; snippet: Snippet | undefined }) {
  return (
    <li>
      <a class="message" href={`/archive/${item.id}`}>
        <span class="message-from">
          {item.direction === "out" && "To: "}
          {item.direction === "out" ? item.meta.envelope.to : senderOf(item)}
        </span>
        <span class="message-when">
          <ShortTime at={item.at} />
        </span>
        <span class="message-subject">
          <Marked pieces={snippet?.subject} text={item.subject || "(no subject)"} />
        </span>
        <span class="message-preview">
          <Marked pieces={snippet?.preview} text={item.preview} />
        </span>
      </a>
    </li>
  );
}

const PATH = "/archive/:id";

archivePages.get(PATH, async (c) => {
  const found = await archivedMessage(c.env, principalOf(c), c.req.param("id"));
  return found.ok ? archivedPage(c, found.value) : pageProblem(c, found.error);
});

addBelowMessage(archivePages, PATH, (c, id) => archivedMessage(c.env, principalOf(c), id));

archivePages.post(`${PATH}/redeliver`, async (c) => {
  const found = await archivedMessage(c.env, principalOf(c), c.req.param("id"));
  if (!found.ok) return pageProblem(c, found.error);
  const to = (await Form.of(c)).text("to");
  const result = await redeliverMessage(c.env, c.executionCtx, principalOf(c), found.value, to);
  if (!result.ok) return archivedPage(c, found.value, { problem: result.error });
  return archivedPage(c, found.value, { done: result.value.detail });
});

async function archivedPage(
  c: AppContext,
  row: ArchivedMessage,
  { problem, done }: { problem?: Problem; done?: string } = {},
) {
  const opened = await openMessage(c.env, row);
  const path = `/archive/${idOf(row)}`;
  const subject = row.subject || "(no subject)";
  return page(
    c,
    { title: subject, section: "archive", status: problem?.status ?? 200 },
    <>
      <p class="crumbs">
        <a href="/archive">Archive</a>
      </p>
      <article class="card">
        <h1>{subject}</h1>
        <ProblemNotice problem={problem} />
        {done && <Done>{done}</Done>}
        <div class="actions message-actions">
          <form method="post" action={`${path}/redeliver`}>
            {principalOf(c).kind !== "user" && row.direction === "in" && (
              <Field name="to" label="To the mailbox" type="email" hint="Empty: to the address it came for." />
            )}
            <button type="submit">Deliver again</button>
          </form>
        </div>
        <MessageBody row={row} opened={opened} path={path} />
      </article>
    </>,
  );
}
