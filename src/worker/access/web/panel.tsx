/** The control panel's first page: the domains, and a form for another one. */
import { Hono } from "hono";
import { MAX_PAGE } from "../../../core/limits.ts";
import { scopeOf } from "../../identity/principal.ts";
import { backlogTotals, type DomainBacklog } from "../../store/backlog-totals.ts";
import { directory } from "../../store/directory.ts";
import { type DomainRow, listDomains } from "../../store/domains.ts";
import { shardsInUse } from "../../store/shard.ts";
import { saveDomain } from "../actions/domains.ts";
import { messages } from "../actions/waiting.ts";
import { type AppContext, type AppEnv, principalOf } from "../context.ts";
import type { Problem } from "../problem.ts";
import { Form } from "./form.ts";
import { page } from "./layout.tsx";
import { OriginFields, originOf } from "./origin-fields.tsx";
import { Field, ModeBadge, ProblemNotice } from "./parts.tsx";

export const panelPages = new Hono<AppEnv>();

panelPages.get("/panel", (c) => domainsPage(c));

panelPages.post("/panel", async (c) => {
  const form = await Form.of(c);
  const name = form.text("domain") ?? "";
  const origin = originOf(form);
  const input = { continuity: true, origin };
  const saved = await saveDomain(c.env, principalOf(c), name, input, undefined, Date.now());
  if (!saved.ok) return domainsPage(c, { problem: saved.error, name, form });
  return c.redirect(`/panel/domains/${saved.value.row.name}`, 303);
});

async function domainsPage(c: AppContext, failed?: { problem: Problem; name: string; form: Form }) {
  const principal = principalOf(c);
  const after = c.req.query("after") ?? "";
  const [rows, totals] = await Promise.all([
    listDomains(directory(c.env), scopeOf(principal), after, MAX_PAGE + 1),
    shardsInUse(c.env).then((all) => Promise.all(all.map(({ db }) => backlogTotals(db)))),
  ]);
  const shown = rows.slice(0, MAX_PAGE);
  const last = rows.length > MAX_PAGE ? shown.at(-1) : undefined;
  return page(
    c,
    { title: "Domains", section: "domains", status: failed?.problem.status ?? 200 },
    <>
      <h1>Domains</h1>
      {shown.length === 0 && <p class="empty">No domain yet.</p>}
      {shown.length > 0 && (
        <ul class="rows">
          {shown.map((row) => (
            <DomainItem row={row} backlog={totals.flat().filter(({ domain }) => domain === row.id)} />
          ))}
        </ul>
      )}
      {last && <a href={`/panel?after=${encodeURIComponent(last.name)}`}>More domains</a>}
      {principal.kind === "operator" && (
        <details class="card" open={Boolean(failed) || shown.length === 0}>
          <summary>Add a domain</summary>
          <ProblemNotice problem={failed?.problem} />
          <form method="post" action="/panel">
            <Field
              name="domain"
              label="Domain"
              value={failed?.name}
              required
              hint="The part after the @ of its addresses, such as example.org."
            />
            <OriginFields form={failed?.form} route={null} />
            <button class="main" type="submit">
              Add the domain
            </button>
          </form>
        </details>
      )}
    </>,
  );
}

function DomainItem({ row, backlog }: { row: DomainRow; backlog: readonly DomainBacklog[] }) {
  const waiting = backlog.reduce((sum, shard) => sum + shard.waiting, 0);
  return (
    <li>
      <a class="row" href={`/panel/domains/${row.name}`}>
        <span class="row-name">{row.name}</span>
        <span class="row-note">
          {!row.continuity && "continuity off"}
          {row.continuity && row.route && `${row.route.host}:${row.route.port}`}
          {waiting > 0 && ` · ${messages(waiting)} waiting`}
        </span>
        <ModeBadge mode={row.mode} />
      </a>
    </li>
  );
}
