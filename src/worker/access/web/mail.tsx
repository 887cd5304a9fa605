/** The webmail's folders: what is in them, and what waits for the own server. */
import { Hono } from "hono";
import { ok, type Result } from "../../../core/result.ts";
import type { Env } from "../../env.ts";
import type { User } from "../../identity/principal.ts";
import { currentState } from "../../mailbox/changes.ts";
import { mailboxOf } from "../../mailbox/contract.ts";
import { type Snippet, snippetsOf } from "../../search/snippets.ts";
import { readFlags } from "../../store/flags.ts";
import { type Folder, listFolders } from "../../store/folders.ts";
import type { PlacedMessage } from "../../store/placements.ts";
import { isWaiting, listFolderMessages, searchFolderMessages } from "../actions/mail.ts";
import { folderName, userOf } from "../api/mail.ts";
import type { AppContext, AppEnv } from "../context.ts";
import type { Problem } from "../problem.ts";
import { FURTHER_BACK } from "./archive.tsx";
import { page } from "./layout.tsx";
import { Marked, senderOf } from "./message-parts.tsx";
import { Done, Field, NotYetFound, ProblemNotice, ShortTime } from "./parts.tsx";
import { pageProblem } from "./problem-page.tsx";

export const mailPages = new Hono<AppEnv>();

const SHOWN = 50;

mailPages.get("/mail", (c) => folderPage(c, "inbox"));
mailPages.get("/mail/folders/:folder", (c) => folderPage(c, c.req.param("folder")));

export const folderPath = (name: string): string =>
  name === "inbox" ? "/mail" : `/mail/folders/${encodeURIComponent(name)}`;

const DONE: Record<string, string> = {
  moved: "The message was moved.",
  deleted: "The message was moved to the trash.",
  gone: "The message was deleted for good.",
  cancelled: "Done. The message is not delivered to your own mail server any more; the archive keeps a copy.",
};

interface Listed {
  readonly shown: readonly PlacedMessage[];
  /** In the same order: where what was searched for stands. */
  readonly snippets?: readonly Snippet[];
  /** Of the next page; null: this is the last. */
  readonly after: number | null;
  /** Unix milliseconds: a search does not find older mail yet. */
  readonly since?: number | null;
  /** What was typed into the search box cannot be searched for. */
  readonly problem?: Problem;
}

/** A page of the folder, or of what was found in it. */
async function listed(
  env: Env,
  user: User,
  { folder, q }: { readonly folder: string; readonly q: string },
  before: number | null,
): Promise<Result<Listed, Problem>> {
  if (q === "") {
    const rows = await listFolderMessages(env, user, folder, before, SHOWN + 1);
    if (!rows.ok) return rows;
    const shown = rows.value.slice(0, SHOWN);
    return ok({ shown, after: rows.value.length > SHOWN ? (shown.at(-1)?.id ?? null) : null });
  }
  const found = await searchFolderMessages(env, user, { folder, q }, before, SHOWN);
  if (found.ok) {
    const { items, before: after, since, query } = found.value;
    return ok({ shown: items, after, since, snippets: await snippetsOf(env.MAIL, query, items) });
  }
  return found.error.status === 422 ? ok({ shown: [], after: null, problem: found.error }) : found;
}

async function folderPage(c: AppContext, name: string) {
  // The archive is no folder of the portal: it has a page of its own.
  if (name === "archive") return c.redirect("/archive", 303);
  const user = userOf(c);
  const after = c.req.query("after") ?? "";
  const before = /^\d{1,16}$/.test(after) ? Number(after) : null;
  const q = c.req.query("q")?.trim() ?? "";
  const mailbox = mailboxOf(c.env, user);
  // Before what is shown: what comes meanwhile is told again.
  const state = await currentState(mailbox);
  const [folders, rows] = await Promise.all([
    listFolders(mailbox.db, mailbox.account),
    listed(c.env, user, { folder: name, q }, before),
  ]);
  if (!rows.ok) return pageProblem(c, rows.error);
  const { shown, snippets, after: next, since, problem } = rows.value;
  const folder = folders.find((one) => folderName(one) === name);
  const title = folder ? titleOf(folder) : name;
  const done = DONE[c.req.query("done") ?? ""];
  const waiting = shown.filter(isWaiting).length;
  return page(
    c,
    {
      title: q === "" ? title : `${q} · ${title}`,
      section: "mail",
      status: problem?.status ?? 200,
      // A search is as its person asked for it.
      ...(q === "" && { live: { events: "/api/mail/events", state } }),
    },
    <div class="mail">
      <FolderList folders={folders} current={name} />
      <div>
        <h1>{title}</h1>
        {done && <Done>{done}</Done>}
        <ProblemNotice problem={problem} />
        <form class="search" method="get" action={folderPath(name)}>
          <Field name="q" label={`Search in ${title}`} type="search" value={q} />
          <button type="submit">Search</button>
        </form>
        <div id="messages" data-live>
          {waiting > 0 && (
            <p class="lead">
              Mail marked “waiting” still goes to your own mail server, and leaves this inbox then. Moving or deleting
              it keeps it from being delivered there.
            </p>
          )}
          <NotYetFound since={since} />
          {shown.length === 0 && !problem && (
            <p class="empty">{next !== null ? FURTHER_BACK : q === "" ? "No messages." : "Nothing was found."}</p>
          )}
          {shown.length > 0 && (
            <ul class="rows">
              {shown.map((row, index) => (
                <MessageItem row={row} snippet={snippets?.[index]} />
              ))}
            </ul>
          )}
          {next !== null && (
            <a
              class="button"
              href={`${folderPath(name)}?${new URLSearchParams({ ...(q !== "" && { q }), after: String(next) })}`}
            >
              Older messages
            </a>
          )}
        </div>
      </div>
    </div>,
  );
}

const TITLES: Record<string, string> = { inbox: "Inbox" };
export const titleOf = (folder: Folder): string => TITLES[folder.role ?? ""] ?? folder.name;

export function FolderList({ folders, current }: { folders: readonly Folder[]; current: string }) {
  return (
    <nav class="folders" aria-label="Folders" id="folders" data-live>
      <ul>
        {folders.map((folder) => {
          const name = folderName(folder);
          return (
            <li>
              <a
                href={name === "archive" ? "/archive" : folderPath(name)}
                aria-current={name === current ? "page" : undefined}
              >
                {titleOf(folder)}
                {folder.unread > 0 && (
                  <b>
                    {folder.unread}
                    <span class="unseen"> unread</span>
                  </b>
                )}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function MessageItem({ row, snippet }: { row: PlacedMessage; snippet: Snippet | undefined }) {
  const { seen, flagged } = readFlags(row.flags);
  return (
    <li>
      <a class={seen ? "message" : "message message-unseen"} href={`/mail/messages/${row.id}`}>
        <span class="message-from">
          {!seen && <span class="unseen">Unread: </span>}
          {senderOf(row)}
        </span>
        <span class="message-when">
          <ShortTime at={row.at} />
        </span>
        <span class="message-subject">
          {flagged && (
            <span title="Flagged">
              <span aria-hidden="true">★ </span>
              <span class="unseen">Flagged: </span>
            </span>
          )}
          <Marked pieces={snippet?.subject} text={row.subject || "(no subject)"} />
        </span>
        <span class="message-preview">
          {row.refusal !== null && <span class="badge badge-refused">refused by the mail server</span>}
          {isWaiting(row) && <span class="badge badge-waiting">waiting</span>}{" "}
          <Marked pieces={snippet?.preview} text={row.preview} />
        </span>
      </a>
    </li>
  );
}
