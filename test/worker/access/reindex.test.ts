/** Who may have the index made anew, and what a bad request hears. */
import { beforeAll, describe, expect, it } from "vitest";
import { addCustomer, addDomain, addUser, asOperator, json } from "./client.ts";

let user = "";
let administrator = "";

beforeAll(async () => {
  await addDomain("example.org");
  user = await addUser("alice@example.org");
  administrator = await addCustomer(2, "example.org");
});

const step = (token: string | undefined) => json("POST", "/api/reindex", { token, body: {} });

describe("a step of a reindex", () => {
  it("is the operator's alone", async () => {
    expect((await step(undefined)).status).toBe(401);
    expect((await step(user)).status).toBe(403);
    expect((await step(administrator)).status).toBe(403);
  });

  it("follows step by step to the end", async () => {
    let cursor: unknown = null;
    const cursors: unknown[] = [];
    do {
      const { status, body } = await asOperator("POST", "/api/reindex", { cursor });
      expect(status).toBe(200);
      expect(body).toMatchObject({ problems: [], problemCount: 0, wait: 0 });
      ({ cursor } = body);
      cursors.push(cursor);
    } while (cursor !== null);
    expect(cursors.map((one) => String(one).replace(/^\d+ /, ""))).toEqual(["archive/", "mail/", "rows 0 0", "null"]);
  });

  it.each([
    [{ cursor: "somewhere" }, "cursor: is not a cursor of a reindex"],
    [{ shard: 7 }, "shard: no database is bound as SHARD_7"],
    [{ since: "yesterday" }, "since"],
    [{ dryrun: true }, "dryrun"],
  ])("%j is a bad request, with what is wrong", async (body, sentence) => {
    const answer = await asOperator("POST", "/api/reindex", body);
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain(sentence);
  });
});
