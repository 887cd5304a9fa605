/** A domain's outgoing mail: what waits, by which way and signed with which key it goes, and which servers send through us. */
import { Hono } from "hono";
import { scopeOf } from "../../../identity/principal.ts";
import { directory } from "../../../store/directory.ts";
import { findDomain } from "../../../store/domains.ts";
import { addKey, forgetKey, keysOf, useKey } from "../../actions/dkim.ts";
import { saveDomain } from "../../actions/domains.ts";
import { addJournal, journalsOf, type MadeJournal, removeJournal } from "../../actions/journal.ts";
import {
  cancel,
  countQueue,
  cursorOf,
  listQueue,
  listStops,
  readCursor,
  releaseMailbox,
  retry,
  type StoppedMailbox,
} from "../../actions/queue.ts";
import { addRelay, type MadeRelay, relaysOf, removeRelay } from "../../actions/relays.ts";
import { type AppContext, type AppEnv, principalOf } from "../../context.ts";
import type { Problem } from "../../problem.ts";
import { Form } from "../form.ts";
import { page } from "../layout.tsx";
import { Done, ProblemNotice } from "../parts.tsx";
import { Keys } from "./keys.tsx";
import { Queue, Stops } from "./queue.tsx";
import { Journals, journalOf, Relays, relayOf } from "./servers.tsx";
import { Way, wayOf } from "./way.tsx";

export const outgoingPages = new Hono<AppEnv>();

const PATH = "/panel/domains/:domain/outgoing";
const SHOWN_QUEUED = 50;

const DONE: Record<string, string> = {
  saved: "Saved.",
  retried: "What waited is being tried now.",
  cancelled: "It was taken out of the queue.",
  released: "It may send again.",
  key: "The key was made. It signs when you let it.",
  signs: "This key signs from now on. Leave the records of those before it in DNS for a week.",
  forgotten: "The key was forgotten.",
  relay: "The server may send.",
  removed: "Removed.",
};

const pathOf = (c: AppContext): string => `/panel/domains/${c.get("domain").name}/outgoing`;
const done = (c: AppContext, what: keyof typeof DONE) => c.redirect(`${pathOf(c)}?done=${what}`, 303);

outgoingPages.get(PATH, (c) => outgoingPage(c));

outgoingPages.post(PATH, async (c) => {
  const form = await Form.of(c);
  const input = { outgoing: wayOf(form) };
  const saved = await saveDomain(c.env, principalOf(c), c.get("domain").name, input, undefined, Date.now());
  return saved.ok ? done(c, "saved") : outgoingPage(c, { where: "way", problem: saved.error, form });
});

outgoingPages.post(`${PATH}/retry`, async (c) => {
  const retried = await retry(c.env, c.get("domain"), null, Date.now());
  return retried.ok ? done(c, "retried") : outgoingPage(c, { where: "queue", problem: retried.error });
});

outgoingPages.post(`${PATH}/:id/retry`, async (c) => {
  const retried = await retry(c.env, c.get("domain"), c.req.param("id"), Date.now());
  return retried.ok ? done(c, "retried") : outgoingPage(c, { where: "queue", problem: retried.error });
});

outgoingPages.post(`${PATH}/:id/cancel`, async (c) => {
  const problem = await cancel(c.env, c.get("domain"), c.req.param("id"), principalOf(c).name, true);
  return problem ? outgoingPage(c, { where: "queue", problem }) : done(c, "cancelled");
});

outgoingPages.post(`${PATH}/stops/:address/release`, async (c) => {
  const problem = await releaseMailbox(c.env, c.get("domain"), c.req.param("address"), principalOf(c).name);
  return problem ? outgoingPage(c, { where: "queue", problem }) : done(c, "released");
});

outgoingPages.post(`${PATH}/keys`, async (c) => {
  const made = await addKey(c.env, principalOf(c), c.get("domain"), undefined, Date.now());
  return made.ok ? done(c, "key") : outgoingPage(c, { where: "keys", problem: made.error });
});

outgoingPages.post(`${PATH}/keys/:selector/use`, async (c) => {
  const problem = await useKey(c.env, principalOf(c), c.get("domain"), c.req.param("selector"));
  return problem ? outgoingPage(c, { where: "keys", problem }) : done(c, "signs");
});

outgoingPages.post(`${PATH}/keys/:selector/forget`, async (c) => {
  const problem = await forgetKey(c.env, principalOf(c), c.get("domain"), c.req.param("selector"));
  return problem ? outgoingPage(c, { where: "keys", problem }) : done(c, "forgotten");
});

/** What is shown once is shown in the answer itself: an address to come back to would have to remember it. */
outgoingPages.post(`${PATH}/relays`, async (c) => {
  const form = await Form.of(c);
  const made = await addRelay(c.env, principalOf(c), c.get("domain"), relayOf(form), Date.now());
  if (!made.ok) return outgoingPage(c, { where: "relays", problem: made.error, form });
  return made.value.password === undefined ? done(c, "relay") : outgoingPage(c, undefined, { relay: made.value });
});

outgoingPages.post(`${PATH}/relays/:id/remove`, async (c) => {
  const problem = await removeRelay(c.env, principalOf(c), c.get("domain"), Number(c.req.param("id")));
  return problem ? outgoingPage(c, { where: "relays", problem }) : done(c, "removed");
});

outgoingPages.post(`${PATH}/journals`, async (c) => {
  const form = await Form.of(c);
  const made = await addJournal(c.env, principalOf(c), c.get("domain"), journalOf(form), Date.now());
  if (!made.ok) return outgoingPage(c, { where: "journals", problem: made.error, form });
  return outgoingPage(c, undefined, { journal: made.value });
});

outgoingPages.post(`${PATH}/journals/:id/remove`, async (c) => {
  const problem = await removeJournal(c.env, principalOf(c), c.get("domain"), Number(c.req.param("id")));
  return problem ? outgoingPage(c, { where: "journals", problem }) : done(c, "removed");
});

interface Failed {
  readonly where: "way" | "queue" | "keys" | "relays" | "journals";
  readonly problem: Problem;
  readonly form?: Form;
}

interface Made {
  readonly relay?: MadeRelay;
  readonly journal?: MadeJournal;
}

async function outgoingPage(c: AppContext, failed?: Failed, made: Made = {}) {
  const given = c.get("domain");
  const path = pathOf(c);
  const after = readCursor(c.req.query("after") ?? "");
  // What was done just now may have changed it.
  const domain = (await findDomain(directory(c.env), given.name, scopeOf(principalOf(c)))) ?? given;
  const [counts, rows, stops, keys, relays, journals] = await Promise.all([
    countQueue(c.env, domain),
    listQueue(c.env, domain, after, SHOWN_QUEUED + 1),
    stopsOf(c),
    keysOf(c.env, domain),
    relaysOf(c.env, domain),
    journalsOf(c.env, domain),
  ]);
  const shown = rows.slice(0, SHOWN_QUEUED);
  const last = rows.length > SHOWN_QUEUED ? shown.at(-1) : undefined;
  const at = (where: Failed["where"]) => (failed?.where === where ? failed : undefined);
  const words = DONE[c.req.query("done") ?? ""];
  return page(
    c,
    {
      title: `Outgoing mail of ${domain.name}`,
      section: "domains",
      mode: domain.mode,
      status: failed?.problem.status ?? 200,
    },
    <>
      <p class="crumbs">
        <a href="/panel">Domains</a> <a href={`/panel/domains/${domain.name}`}>{domain.name}</a>
      </p>
      <h1>Outgoing mail</h1>
      {words && !failed && <Done>{words}</Done>}
      <ProblemNotice problem={at("queue")?.problem} />
      <Stops path={path} stops={stops} />
      <Queue path={path} {...counts} rows={shown} next={last ? cursorOf(last) : null} />
      <Way domain={domain} form={at("way")?.form} problem={at("way")?.problem} />
      <Keys path={path} domain={domain.name} keys={keys} problem={at("keys")?.problem} />
      <Relays path={path} rows={relays} made={made.relay} form={at("relays")?.form} problem={at("relays")?.problem} />
      <Journals
        path={path}
        rows={journals}
        made={made.journal}
        form={at("journals")?.form}
        problem={at("journals")?.problem}
      />
    </>,
  );
}

/** Null: the domain's outbound object does not answer; the page is shown without it. */
async function stopsOf(c: AppContext): Promise<readonly StoppedMailbox[] | null> {
  try {
    return await listStops(c.env, c.get("domain"));
  } catch (error) {
    console.error(`the outbound object of ${c.get("domain").name} does not tell who is stopped:`, error);
    return null;
  }
}
