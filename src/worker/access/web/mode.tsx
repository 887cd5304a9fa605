/** The switch: a page that says what will happen and how much mail waits, then the act. */
import { Hono } from "hono";
import { backlogOf } from "../../store/backlog-totals.ts";
import { chooseMode } from "../actions/mode.ts";
import { messages } from "../actions/waiting.ts";
import { type AppContext, type AppEnv, principalOf } from "../context.ts";
import type { Problem } from "../problem.ts";
import { Form } from "./form.ts";
import { page } from "./layout.tsx";
import { ProblemNotice } from "./parts.tsx";

export const modePages = new Hono<AppEnv>();

const CHOICES = ["normal", "emergency", "auto"] as const;
type Choice = (typeof CHOICES)[number];

const choiceOf = (text: string | undefined): Choice | undefined => CHOICES.find((choice) => choice === text);

modePages.get("/panel/domains/:domain/mode", async (c) => {
  const to = choiceOf(c.req.query("to"));
  return to ? confirmPage(c, to) : c.redirect(`/panel/domains/${c.get("domain").name}`, 303);
});

modePages.post("/panel/domains/:domain/mode", async (c) => {
  const to = (await Form.of(c)).oneOf("mode", CHOICES);
  const domain = c.get("domain");
  if (!to) return c.redirect(`/panel/domains/${domain.name}`, 303);
  const result = await chooseMode(c.env, principalOf(c), domain, to);
  return result.ok ? c.redirect(`/panel/domains/${domain.name}?done=mode`, 303) : confirmPage(c, to, result.error);
});

const QUESTIONS: Record<Choice, string> = {
  normal: "Switch to normal mode?",
  emergency: "Switch to emergency mode?",
  auto: "Release the hold?",
};
const BUTTONS: Record<Choice, string> = {
  normal: "Switch to normal mode",
  emergency: "Switch to emergency mode",
  auto: "Release the hold",
};

async function confirmPage(c: AppContext, to: Choice, problem?: Problem) {
  const domain = c.get("domain");
  const { waiting } = await backlogOf(c.env, domain.id);
  return page(
    c,
    { title: QUESTIONS[to], section: "domains", mode: domain.mode, status: problem?.status ?? 200 },
    <section class="narrow card">
      <p class="crumbs">
        <a href="/panel">Domains</a> <a href={`/panel/domains/${domain.name}`}>{domain.name}</a>
      </p>
      <h1>{QUESTIONS[to]}</h1>
      <ProblemNotice problem={problem} />
      {to === "emergency" && (
        <p>
          All new mail for registered mailboxes of {domain.name} will stay on Holdfast, and people read it here. Your
          mail server is not asked until the mode is normal again.
        </p>
      )}
      {to === "normal" && (
        <p>
          New mail for {domain.name} will go to your mail server, and what waits will be delivered to it, oldest first.
        </p>
      )}
      {to === "auto" && (
        <p>
          {domain.switching === "automatic"
            ? "From then on Holdfast changes the mode by itself again."
            : "The mode stays as it is until a person changes it."}
        </p>
      )}
      <p class="count">
        <b>{waiting === 0 ? "No message waits" : `${messages(waiting)} ${waiting === 1 ? "waits" : "wait"}`}</b> for
        your mail server now.
      </p>
      <form class="actions" method="post" action={`/panel/domains/${domain.name}/mode`}>
        <input type="hidden" name="mode" value={to} />
        <button class={to === "emergency" ? "danger" : "main"} type="submit">
          {BUTTONS[to]}
        </button>
        <a class="button" href={`/panel/domains/${domain.name}`}>
          Cancel
        </a>
      </form>
    </section>,
  );
}
