/** A problem as a page. */
import type { AppContext } from "../context.ts";
import { type Problem, titleOf } from "../problem.ts";
import { page } from "./layout.tsx";
import { ProblemNotice } from "./parts.tsx";

export function pageProblem(c: AppContext, problem: Problem): Response | Promise<Response> {
  if (problem.status === 401 && c.req.method === "GET") {
    const { pathname, search } = new URL(c.req.url);
    return c.redirect(`/login?next=${encodeURIComponent(pathname + search)}`, 303);
  }
  if (problem.retryAfter !== undefined) c.header("retry-after", String(problem.retryAfter));
  return page(
    c,
    { title: titleOf(problem.status), status: problem.status },
    <section class="narrow card">
      <h1>{titleOf(problem.status)}</h1>
      <ProblemNotice problem={problem} />
      <p>
        <a href="/">Go to the first page</a>
      </p>
    </section>,
  );
}
