/** Whoever writes: the signed-in user with all their addresses. */
import type { User } from "../../identity/principal.ts";
import { type Author, authorOf } from "../../send/person.ts";
import type { AppContext } from "../context.ts";
import { notFound, problemResponse } from "../problem.ts";

export const NOBODY = notFound("such mailbox any more");

/** @param act what is answered where the mailbox is there */
export async function withAuthor<T>(c: AppContext, user: User, act: (author: Author) => Promise<T>) {
  const author = await authorOf(c.env, user);
  return author ? act(author) : problemResponse(c, NOBODY);
}
