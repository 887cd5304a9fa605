/** One message of the portal: read, mark, move, delete. */
import { Hono } from "hono";
import { formatReply } from "../../../core/outcome.ts";
import { openMessage } from "../../archive/read.ts";
import { mailboxOf } from "../../mailbox/contract.ts";
import { markMessages } from "../../mailbox/messages.ts";
import { readFlags, SEEN } from "../../store/flags.ts";
import { type Folder, listFolders } from "../../store/folders.ts";
import type { PlacedMessage } from "../../store/placements.ts";
import { shardDb } from "../../store/shard.ts";
import { changeMessage, deleteMessage, isWaiting, messageOf, refusalOf } from "../actions/mail.ts";
import { folderName, userOf } from "../api/mail.ts";
import type { AppContext, AppEnv } from "../context.ts";
import type { Problem } from "../problem.ts";
import { addBelowMessage } from "./below-message.ts";
import { Form } from "./form.ts";
import { page } from "./layout.tsx";
import { folderPath, titleOf } from "./mail.tsx";
import { MessageBody } from "./message-parts.tsx";
import { ProblemNotice } from "./parts.tsx";
import { pageProblem } from "./problem-page.tsx";

export const messagePages = new Hono<AppEnv>();

const PATH = "/mail/messages/:id";

messagePages.get(PATH, async (c) => {
  const found = await messageOf(c.env, userOf(c), c.req.param("id"));
  return found.ok ? messagePage(c, found.value) : pageProblem(c, found.error);
});

addBelowMessage(messagePages, PATH, (c, id) => messageOf(c.env, userOf(c), id));

messagePages.post(PATH, async (c) => {
  const form = await Form.of(c);
  const user = userOf(c);
  const id = c.req.param("id");
  const found = await messageOf(c.env, user, id);
  if (!found.ok) return pageProblem(c, found.error);
  const back = folderPath(await folderOf(c, found.value));
  const act = form.oneOf("act", ["delete", "move", "unread", "flag", "unflag"]);
  if (act === "delete") {
    const acted = await deleteMessage(c.env, user, id);
    if (!acted.ok) return messagePage(c, found.value, acted.error);
    const done = acted.value.cancelled ? "cancelled" : acted.value.message ? "deleted" : "gone";
    return c.redirect(`${back}?done=${done}`, 303);
  }
  const change =
    act === "move" ? { folder: form.text("folder") } : act === "unread" ? { seen: false } : { flagged: act === "flag" };
  const acted = await changeMessage(c.env, user, id, change);
  if (!acted.ok) return messagePage(c, found.value, acted.error);
  if (act === "flag" || act === "unflag") return c.redirect(`/mail/messages/${acted.value.message?.id ?? id}`, 303);
  return c.redirect(act === "move" ? `${back}?done=${acted.value.cancelled ? "cancelled" : "moved"}` : back, 303);
});

async function folderOf(c: AppContext, row: PlacedMessage): Promise<string> {
  const user = userOf(c);
  const folders = await listFolders(shardDb(c.env, user.shard), user.mailbox);
  const folder = folders.find(({ id }) => id === row.folder);
  return folder ? folderName(folder) : "inbox";
}

async function messagePage(c: AppContext, row: PlacedMessage, problem?: Problem) {
  const user = userOf(c);
  const db = shardDb(c.env, user.shard);
  const [opened, folders] = await Promise.all([openMessage(c.env, row), listFolders(db, user.mailbox)]);
  if (!readFlags(row.flags).seen) await markMessages(mailboxOf(c.env, user), [row.id], { add: SEEN, remove: 0 });
  const folder = folders.find(({ id }) => id === row.folder);
  const refusal = refusalOf(row);
  return page(
    c,
    { title: row.subject || "(no subject)", section: "mail", status: problem?.status ?? 200 },
    <>
      <p class="crumbs">
        <a href={folderPath(folder ? folderName(folder) : "inbox")}>{folder ? titleOf(folder) : "Inbox"}</a>
      </p>
      <article class="card">
        <h1>{row.subject || "(no subject)"}</h1>
        <ProblemNotice problem={problem} />
        {refusal && (
          <div class="notice notice-problem">
            <p>
              Your own mail server would not take this message: <b>{formatReply(refusal)}</b>. It stays here.
            </p>
          </div>
        )}
        {isWaiting(row) && (
          <div class="notice">
            <p>
              <b>Waiting for your own mail server.</b> It goes there as soon as the server is back, and leaves this
              inbox then. If you delete or move it, it is not delivered there; the archive keeps a copy.
            </p>
          </div>
        )}
        <MessageActions row={row} folders={folders} />
        <MessageBody row={row} opened={opened} path={`/mail/messages/${row.id}`} />
      </article>
    </>,
  );
}

/** What a person writes, and the archive, which has every message already. */
const NO_TARGETS: ReadonlySet<string> = new Set(["sent", "drafts", "archive"]);

function MessageActions({ row, folders }: { row: PlacedMessage; folders: readonly Folder[] }) {
  const { flagged } = readFlags(row.flags);
  const current = folders.find(({ id }) => id === row.folder);
  const others = folders.filter(({ id, role }) => id !== row.folder && !(role && NO_TARGETS.has(role)));
  return (
    <div class="actions message-actions">
      <form method="post" action={`/mail/messages/${row.id}`}>
        <button name="act" value="delete" type="submit">
          {current?.role === "trash" ? "Delete for good" : "Delete"}
        </button>
        <button name="act" value="unread" type="submit">
          Mark as unread
        </button>
        <button name="act" value={flagged ? "unflag" : "flag"} type="submit">
          {flagged ? "Remove the flag" : "Flag"}
        </button>
      </form>
      <form method="post" action={`/mail/messages/${row.id}`}>
        <label for="folder">Move to</label>
        <select id="folder" name="folder">
          {others.map((folder) => (
            <option value={folderName(folder)}>{titleOf(folder)}</option>
          ))}
        </select>
        <button name="act" value="move" type="submit">
          Move
        </button>
      </form>
    </div>
  );
}
