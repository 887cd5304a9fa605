/** One domain: its mode first and unmistakable, then what waits, what the probes say, who is registered, what happened. */
import { Hono } from "hono";
import { askDomain } from "../../domain/ask.ts";
import type { DomainStatus, LoggedEvent } from "../../domain/contract.ts";
import { scopeOf } from "../../identity/principal.ts";
import { directory } from "../../store/directory.ts";
import { findDomain } from "../../store/domains.ts";
import { listMailboxes, type MailboxRow } from "../../store/mailboxes.ts";
import { type DomainPicture, pictureOf, saveDomain } from "../actions/domains.ts";
import { WAITING_CHOICES } from "../actions/waiting.ts";
import { newestFirst } from "../api/domains.ts";
import { type AppContext, type AppEnv, principalOf } from "../context.ts";
import type { Problem } from "../problem.ts";
import { describeEvent } from "./events.ts";
import { Form } from "./form.ts";
import { page } from "./layout.tsx";
import { MailboxForm, MailboxList } from "./mailbox-list.tsx";
import { OriginFields, originOf } from "./origin-fields.tsx";
import { Check, Choice, Done, duration, ProblemNotice, Time } from "./parts.tsx";
import { WaitingChoices } from "./waiting-choices.tsx";

export const domainPages = new Hono<AppEnv>();

const SHOWN_EVENTS = 20;
const SHOWN_MAILBOXES = 100;

domainPages.get("/panel/domains/:domain", (c) => domainPage(c));

domainPages.post("/panel/domains/:domain", async (c) => {
  const form = await Form.of(c);
  const { name } = c.get("domain");
  const input = {
    continuity: form.checked("continuity"),
    coverage: form.oneOf("coverage", ["all", "selected"]),
    switching: form.oneOf("switching", ["manual", "automatic"]),
    postmaster: form.text("postmaster") ?? null,
    ...(form.text("host") !== undefined && { origin: originOf(form) }),
  };
  const waiting = form.oneOf("waiting", WAITING_CHOICES);
  const saved = await saveDomain(c.env, principalOf(c), name, input, waiting, Date.now());
  if (!saved.ok) return domainPage(c, { problem: saved.error, form });
  return c.redirect(`/panel/domains/${name}?done=saved`, 303);
});

const DONE: Record<string, string> = {
  saved: "Saved.",
  mode: "The mode was set.",
  mailbox: "The mailbox was registered.",
  changed: "The mailbox was changed.",
  removed: "The mailbox was removed. Its archive stays until it expires.",
};

export interface Failed {
  readonly problem: Problem;
  readonly form: Form;
  /** Which form it was; absent: the settings. */
  readonly where?: "mailbox";
}

export async function domainPage(c: AppContext, failed?: Failed) {
  const given = c.get("domain");
  const after = c.req.query("after") ?? "";
  const row = (await findDomain(directory(c.env), given.name, scopeOf(principalOf(c)))) ?? given;
  const [picture, boxes, events] = await Promise.all([
    pictureOf(c.env, row),
    listMailboxes(directory(c.env), row.id, after, SHOWN_MAILBOXES + 1),
    lastEvents(c, row.name),
  ]);
  const mode = picture.status?.mode.mode ?? row.mode;
  const done = DONE[c.req.query("done") ?? ""];
  const live = { events: `/api/domains/${row.name}/events/stream`, state: null };
  return page(
    c,
    { title: row.name, section: "domains", mode, live, status: failed?.problem.status ?? 200 },
    <>
      <p class="crumbs">
        <a href="/panel">Domains</a>
      </p>
      <h1>{row.name}</h1>
      {done && !failed && <Done>{done}</Done>}
      <ModeCard picture={picture} mode={mode} />
      <div class="columns" id="domain-figures" data-live>
        <Backlog picture={picture} />
        <Probes status={picture.status} />
      </div>
      <p class="actions">
        <a class="button" href={`/panel/domains/${row.name}/outgoing`}>
          Outgoing mail
        </a>
      </p>
      <Mailboxes boxes={boxes} picture={picture} failed={failed?.where === "mailbox" ? failed : undefined} />
      <Settings picture={picture} c={c} failed={failed?.where ? undefined : failed} />
      <Events events={events} />
    </>,
  );
}

/** Null: the log does not answer; the page is shown without it. */
async function lastEvents(c: AppContext, name: string): Promise<readonly LoggedEvent[] | null> {
  try {
    return await askDomain(c.env, name, (object) => object.events(null, SHOWN_EVENTS));
  } catch (error) {
    console.error(`the object of ${name} does not tell its events:`, error);
    return null;
  }
}

function ModeCard({ picture, mode }: { picture: DomainPicture; mode: "normal" | "emergency" }) {
  const { row, status } = picture;
  const view = status?.mode;
  const path = `/panel/domains/${row.name}/mode`;
  const other = mode === "normal" ? "emergency" : "normal";
  return (
    <section class={`mode mode-${mode}`} aria-labelledby="mode" id="domain-mode" data-live>
      <p class="mode-label">Mode</p>
      <h2 id="mode">{mode === "normal" ? "Normal" : "Emergency"}</h2>
      <p class="mode-means">
        {mode === "normal"
          ? row.continuity
            ? "Mail goes to your mail server. If it cannot take a message, Holdfast does."
            : "Continuity is off: mail goes to your mail server, and nothing stands in for it."
          : "Mail stays on Holdfast, and people read it here, until your mail server is back."}
      </p>
      <p class="mode-since">
        For {duration(Date.now() - (view?.since ?? row.modeSince))}, since <Time at={view?.since ?? row.modeSince} />
        {view?.cause && ` · ${view.cause}`}
      </p>
      {view?.doubt && mode === "normal" && (
        <p class="mode-doubt">The mail server is in doubt; it is being watched closely.</p>
      )}
      {view?.choice && (
        <p class="mode-choice">
          Held in this mode by {view.choice.actor} since <Time at={view.choice.at} />.
        </p>
      )}
      {!status && (
        <p class="mode-doubt">The state of this domain does not answer right now; this is its last known mode.</p>
      )}
      <p class="actions">
        {(row.continuity || mode === "emergency") && (
          <a class={`button ${other === "emergency" ? "danger" : "main"}`} href={`${path}?to=${other}`}>
            Switch to {other} mode
          </a>
        )}
        {view?.choice && (
          <a class="button" href={`${path}?to=auto`}>
            Release the hold
          </a>
        )}
      </p>
      <p class="mode-switching">
        Switching is {row.switching}
        {row.switching === "manual" ? ": only a person changes the mode." : ": Holdfast changes the mode by itself."}
      </p>
    </section>
  );
}

function Backlog({ picture }: { picture: DomainPicture }) {
  const { backlog, status } = picture;
  return (
    <section class="card" aria-labelledby="backlog">
      <h2 id="backlog">Backlog</h2>
      <dl class="figures">
        <div>
          <dt>waiting</dt>
          <dd>{backlog.waiting}</dd>
        </div>
        <div>
          <dt>refused</dt>
          <dd>{backlog.refused}</dd>
        </div>
      </dl>
      {status?.run && (
        <p>
          Being delivered now: {status.run.delivered} delivered, {status.run.refused} refused, {status.run.deferred}{" "}
          deferred.
        </p>
      )}
      <p class="hint">Waiting: in portal inboxes, not yet with your mail server. Refused: it would not take them.</p>
    </section>
  );
}

function Probes({ status }: { status: DomainStatus | null }) {
  const probes = newestFirst(status?.probes ?? []);
  return (
    <section class="card" aria-labelledby="probes">
      <h2 id="probes">Mail server</h2>
      {probes.length === 0 && <p class="empty">Not probed yet.</p>}
      {probes.length > 0 && (
        <ul class="probes">
          {probes.slice(0, 5).map((probe) => (
            <li class={probe.ok ? "probe-good" : "probe-bad"}>
              <span>{probe.ok ? "Answers" : "Does not answer"}</span>
              <span class="hint">
                {probe.ok ? `${probe.milliseconds} ms` : probe.text} · <Time at={probe.at} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

interface MailboxesProps {
  readonly boxes: readonly MailboxRow[];
  readonly picture: DomainPicture;
  readonly failed: Failed | undefined;
}

function Mailboxes({ boxes, picture, failed }: MailboxesProps) {
  const shown = boxes.slice(0, SHOWN_MAILBOXES);
  const last = boxes.length > SHOWN_MAILBOXES ? shown.at(-1) : undefined;
  return (
    <section class="card" aria-labelledby="mailboxes">
      <h2 id="mailboxes">Mailboxes</h2>
      <p class="hint">In emergency mode only these addresses take mail; all others are rejected.</p>
      <MailboxList boxes={shown} domain={picture.row} />
      {last && <a href={`?after=${encodeURIComponent(last.address)}#mailboxes`}>More mailboxes</a>}
      <details open={Boolean(failed)}>
        <summary>Register a mailbox</summary>
        <ProblemNotice problem={failed?.problem} />
        <MailboxForm domain={picture.row} box={null} form={failed?.form} />
      </details>
    </section>
  );
}

function Settings({ picture, c, failed }: { picture: DomainPicture; c: AppContext; failed: Failed | undefined }) {
  const { row } = picture;
  const operator = principalOf(c).kind === "operator";
  const problem = failed?.problem;
  return (
    <details class="card" id="settings" open={Boolean(failed)}>
      <summary>Settings</summary>
      <ProblemNotice problem={problem} />
      <form method="post" action={`/panel/domains/${row.name}#settings`}>
        <Check
          name="continuity"
          label="Continuity: Holdfast stands in when the mail server is down"
          checked={failed ? failed.form.checked("continuity") : row.continuity}
        />
        <div class="fields">
          <Choice
            name="coverage"
            label="Who is covered"
            value={failed?.form.text("coverage") ?? row.coverage}
            options={[
              ["all", "Every mailbox"],
              ["selected", "The chosen mailboxes"],
            ]}
          />
          <Choice
            name="switching"
            label="Who changes the mode"
            value={failed?.form.text("switching") ?? row.switching}
            options={
              operator || row.switching === "automatic"
                ? [
                    ["manual", "A person"],
                    ["automatic", "Holdfast, and a person"],
                  ]
                : [["manual", "A person"]]
            }
            hint={operator ? "" : "Only the operator can turn on automatic switching."}
          />
          <div class="field">
            <label for="postmaster">Mailbox for postmaster@ and abuse@</label>
            <input
              id="postmaster"
              name="postmaster"
              type="email"
              value={failed ? failed.form.text("postmaster") : row.settings.postmaster}
              aria-describedby="postmaster-hint"
            />
            <p class="hint" id="postmaster-hint">
              In emergency mode, where they are not registered. Empty: kept for this panel.
            </p>
          </div>
        </div>
        <OriginFields form={failed?.form} route={row.route} />
        {problem?.waiting !== undefined && <WaitingChoices waiting={problem.waiting} />}
        <button class="main" type="submit">
          Save
        </button>
      </form>
    </details>
  );
}

function Events({ events }: { events: readonly LoggedEvent[] | null }) {
  return (
    <section class="card" aria-labelledby="events" id="domain-events" data-live>
      <h2 id="events">What happened</h2>
      {events === null && <p class="empty">The log does not answer right now.</p>}
      {events?.length === 0 && <p class="empty">Nothing yet.</p>}
      {events && events.length > 0 && (
        <ol class="events">
          {events.map((event) => (
            <li>
              <span class="hint">
                <Time at={event.at} /> · {event.actor}
              </span>
              <span>{describeEvent(event)}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
