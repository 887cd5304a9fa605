/** One mailbox: change it, or remove it. */
import { Hono } from "hono";
import { type MailboxInput, mailboxOf, removeMailbox, saveMailbox } from "../actions/mailboxes.ts";
import { WAITING_CHOICES } from "../actions/waiting.ts";
import { type AppContext, type AppEnv, principalOf } from "../context.ts";
import { invalid, type Problem } from "../problem.ts";
import { domainPage } from "./domain.tsx";
import { Form } from "./form.ts";
import { page } from "./layout.tsx";
import { MailboxForm, mailboxPath } from "./mailbox-list.tsx";
import { ProblemNotice } from "./parts.tsx";
import { pageProblem } from "./problem-page.tsx";
import { WaitingChoices } from "./waiting-choices.tsx";

export const mailboxPages = new Hono<AppEnv>();

const PATH = "/panel/domains/:domain/mailboxes";

mailboxPages.post(PATH, async (c) => {
  const form = await Form.of(c);
  const address = form.text("address") ?? "";
  const full = address.includes("@") ? address : `${address}@${c.get("domain").name}`;
  // What the form leaves empty would overwrite a mailbox that is there already.
  if ((await mailboxOf(c.env, c.get("domain"), full)).ok) {
    return domainPage(c, { problem: invalid("address", "is registered already"), form, where: "mailbox" });
  }
  const saved = await saveMailbox(c.env, principalOf(c), c.get("domain"), full, inputOf(form), undefined, Date.now());
  if (!saved.ok) return domainPage(c, { problem: saved.error, form, where: "mailbox" });
  return c.redirect(`/panel/domains/${c.get("domain").name}?done=mailbox`, 303);
});

mailboxPages.get(`${PATH}/:address`, (c) => mailboxPage(c, c.req.param("address")));

mailboxPages.post(`${PATH}/:address`, async (c) => {
  const form = await Form.of(c);
  const address = c.req.param("address");
  const waiting = form.oneOf("waiting", WAITING_CHOICES);
  const saved = await saveMailbox(c.env, principalOf(c), c.get("domain"), address, inputOf(form), waiting, Date.now());
  if (!saved.ok) return mailboxPage(c, address, { problem: saved.error, form });
  return c.redirect(`/panel/domains/${c.get("domain").name}?done=changed`, 303);
});

mailboxPages.post(`${PATH}/:address/remove`, async (c) => {
  const form = await Form.of(c);
  const address = c.req.param("address");
  const waiting = form.oneOf("waiting", WAITING_CHOICES);
  const problem = await removeMailbox(c.env, principalOf(c), c.get("domain"), address, waiting);
  if (problem) return mailboxPage(c, address, { problem, removing: true });
  return c.redirect(`/panel/domains/${c.get("domain").name}?done=removed`, 303);
});

function inputOf(form: Form): MailboxInput {
  return {
    covered: form.checked("covered"),
    aliases: form.text("aliases")?.split(/[\s,;]+/) ?? [],
    alternateAddress: form.text("alternate") ?? null,
    password: form.raw("login-password"),
  };
}

interface Failed {
  readonly problem: Problem;
  readonly form?: Form;
  readonly removing?: boolean;
}

async function mailboxPage(c: AppContext, address: string, failed?: Failed) {
  const domain = c.get("domain");
  const found = await mailboxOf(c.env, domain, address);
  if (!found.ok) return pageProblem(c, found.error);
  const box = found.value;
  const waiting = failed?.problem.waiting;
  return page(
    c,
    { title: box.address, section: "domains", mode: domain.mode, status: failed?.problem.status ?? 200 },
    <>
      <p class="crumbs">
        <a href="/panel">Domains</a> <a href={`/panel/domains/${domain.name}`}>{domain.name}</a>
      </p>
      <h1>{box.address}</h1>
      <ProblemNotice problem={failed?.problem} />
      <section class="card" aria-labelledby="change">
        <h2 id="change">Change</h2>
        <MailboxForm domain={domain} box={box} form={failed?.form} />
      </section>
      <section class="card" aria-labelledby="remove">
        <h2 id="remove">Remove</h2>
        <p>
          The login ends and the address takes no mail in emergency mode any more. The archive stays until it expires.
        </p>
        <form method="post" action={`${mailboxPath(domain, box)}/remove`}>
          {failed?.removing && waiting !== undefined && <WaitingChoices waiting={waiting} />}
          <button class="danger" type="submit">
            Remove the mailbox
          </button>
        </form>
      </section>
    </>,
  );
}
