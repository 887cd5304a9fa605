/** The webmail's folders: what is in them, and what waits for the own server. */
import { Hono } from "hono";
import { readFlags } from "../../store/flags.ts";
import { type Folder, listFolders } from "../../store/folders.ts";
import type { PlacedMessage } from "../../store/placements.ts";
import { shardDb } from "../../store/shard.ts";
import { isWaiting, listFolderMessages } from "../actions/mail.ts";
import { folderName, userOf } from "../api/mail.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { page } from "./layout.tsx";
import { senderOf } from "./message-parts.tsx";
import { Done, ShortTime } from "./parts.tsx";
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

async function folderPage(c: AppContext, name: string) {
  // The archive is no folder of the portal: it has a page of its own.
  if (name === "archive") return c.redirect("/archive", 303);
  const user = userOf(c);
  const after = c.req.query("after") ?? "";
  const before = /^\d{1,16}$/.test(after) ? Number(after) : null;
  const [folders, rows] = await Promise.all([
    listFolders(shardDb(c.env, user.shard), user.mailbox),
    listFolderMessages(c.env, user, name, before, SHOWN + 1),
  ]);
  if (!rows.ok) return pageProblem(c, rows.error);
  const shown = rows.value.slice(0, SHOWN);
  const last = rows.value.length > SHOWN ? shown.at(-1) : undefined;
  const folder = folders.find((one) => folderName(one) === name);
  const title = folder ? titleOf(folder) : name;
  const done = DONE[c.req.query("done") ?? ""];
  const waiting = shown.filter(isWaiting).length;
  return page(
    c,
    { title, section: "mail" },
    <div class="mail">
      <FolderList folders={folders} current={name} />
      <div>
        <h1>{title}</h1>
        {done && <Done>{done}</Done>}
        {waiting > 0 && (
          <p class="lead">
            Mail marked “waiting” still goes to your own mail server, and leaves this inbox then. Moving or deleting it
            keeps it from being delivered there.
          </p>
        )}
        {shown.length === 0 && <p class="empty">No messages.</p>}
        {shown.length > 0 && (
          <ul class="rows">
            {shown.map((row) => (
              <MessageItem row={row} />
            ))}
          </ul>
        )}
        {last && (
          <a class="button" href={`${folderPath(name)}?after=${last.id}`}>
            Older messages
          </a>
        )}
      </div>
    </div>,
  );
}

const TITLES: Record<string, string> = { inbox: "Inbox" };
export const titleOf = (folder: Folder): string => TITLES[folder.role ?? ""] ?? folder.name;

export function FolderList({ folders, current }: { folders: readonly Folder[]; current: string }) {
  return (
    <nav class="folders" aria-label="Folders">
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

function MessageItem({ row }: { row: PlacedMessage }) {
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
          {row.subject || "(no subject)"}
        </span>
        <span class="message-preview">
          {row.refusal !== null && <span class="badge badge-refused">refused by the mail server</span>}
          {isWaiting(row) && <span class="badge badge-waiting">waiting</span>} {row.preview}
        </span>
      </a>
    </li>
  );
}
