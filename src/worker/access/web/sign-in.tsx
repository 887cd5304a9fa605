/** Signing in and out. */
import { Hono } from "hono";
import { closeOf, openFor } from "../api/session.ts";
import type { AppContext, AppEnv } from "../context.ts";
import type { Problem } from "../problem.ts";
import { Form } from "./form.ts";
import { page } from "./layout.tsx";
import { Field, ProblemNotice } from "./parts.tsx";

export const signInPages = new Hono<AppEnv>();

signInPages.get("/login", (c) => signInPage(c, { next: c.req.query("next") }));

signInPages.post("/login", async (c) => {
  const form = await Form.of(c);
  const email = form.text("email") ?? "";
  const next = form.text("next");
  const opened = await openFor(c, email, form.raw("password") ?? "");
  if ("status" in opened) {
    if (opened.retryAfter !== undefined) c.header("retry-after", String(opened.retryAfter));
    return signInPage(c, { email, next, problem: opened });
  }
  return c.redirect(ownPath(next) ?? "/", 303);
});

signInPages.post("/logout", async (c) => {
  await closeOf(c);
  return c.redirect("/login", 303);
});

/** A path of ours; anything that a browser could read as another site's address is dropped. */
function ownPath(path: string | undefined): string | null {
  return path !== undefined && /^\/(?![/\\])[\x21-\x7e]*$/.test(path) && !path.includes("\\") ? path : null;
}

interface SignIn {
  readonly email?: string;
  readonly next?: string | undefined;
  readonly problem?: Problem;
}

function signInPage(c: AppContext, { email, next, problem }: SignIn) {
  const path = ownPath(next);
  return page(
    c,
    { title: "Sign in", status: problem?.status ?? 200 },
    <section class="narrow card">
      <h1>Sign in</h1>
      <p class="lead">To your mailbox, or to the control panel of your domains.</p>
      <ProblemNotice problem={problem} />
      <form method="post" action="/login">
        <Field name="email" label="E-mail address" type="email" value={email} required autocomplete="username" />
        <Field name="password" label="Password" type="password" required autocomplete="current-password" />
        {path && <input type="hidden" name="next" value={path} />}
        <button class="main" type="submit">
          Sign in
        </button>
      </form>
    </section>,
  );
}
