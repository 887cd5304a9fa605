/** The pages as a whole, and who may see them. */
import { Hono } from "hono";
import type { AppEnv } from "../context.ts";
import { administersDomain, only, sameOrigin, signedIn } from "../guards.ts";
import { archivePages } from "./archive.tsx";
import { domainPages } from "./domain.tsx";
import { mailPages } from "./mail.tsx";
import { mailboxPages } from "./mailbox.tsx";
import { messagePages } from "./message.tsx";
import { modePages } from "./mode.tsx";
import { outgoingPages } from "./outgoing/page.tsx";
import { panelPages } from "./panel.tsx";
import { pageProblem } from "./problem-page.tsx";
import { signInPages } from "./sign-in.tsx";

export { pageProblem } from "./problem-page.tsx";

export function createPages(): Hono<AppEnv> {
  const pages = new Hono<AppEnv>();
  const sameSite = sameOrigin(pageProblem);
  const administrators = only(pageProblem, "operator", "administrator");
  const users = only(pageProblem, "user");
  for (const path of ["/login", "/logout", "/panel", "/panel/*", "/mail", "/mail/*", "/archive", "/archive/*"]) {
    pages.use(path, sameSite);
  }
  for (const path of ["/panel", "/panel/*"]) pages.use(path, administrators);
  pages.use("/panel/domains/:domain", administersDomain(pageProblem));
  pages.use("/panel/domains/:domain/*", administersDomain(pageProblem));
  for (const path of ["/mail", "/mail/*"]) pages.use(path, users);
  for (const path of ["/archive", "/archive/*"]) pages.use(path, signedIn(pageProblem));

  pages.get("/", (c) => {
    const principal = c.get("principal");
    if (!principal) return c.redirect("/login", 303);
    return c.redirect(principal.kind === "user" ? "/mail" : "/panel", 303);
  });
  const parts = [
    signInPages,
    panelPages,
    domainPages,
    outgoingPages,
    modePages,
    mailboxPages,
    mailPages,
    messagePages,
    archivePages,
  ];
  for (const part of parts) pages.route("/", part);
  return pages;
}
