/** The index made anew from what is stored, a step a call: `npm run reindex` makes them one after the other. */
import { createRoute, z } from "@hono/zod-openapi";
import { BusyError } from "../../archive/reindex/group.ts";
import { reindexStep } from "../../archive/reindex/step.ts";
import { shards } from "../../store/shard.ts";
import { invalid, problemResponse, unavailable } from "../problem.ts";
import { body, instant, json, newApi, PROBLEMS } from "./api.ts";

const PROBLEM_KINDS = ["nobody", "no_envelope", "unknown_domain", "unreadable", "not_indexed"] as const;

const Ask = z
  .strictObject({
    cursor: z.string().max(1024).nullable().optional().openapi({ description: "Of the step before; absent: begin." }),
    since: z.iso.datetime({ offset: true }).optional().openapi({ description: "Only what came since." }),
    shard: z.int().min(0).max(9999).optional().openapi({ description: "Only what belongs on this shard." }),
    dryRun: z.boolean().default(false).openapi({ description: "Nothing is written; what would be is counted." }),
  })
  .openapi("ReindexStepRequest");

const Step = z
  .object({
    cursor: z.string().nullable().openapi({ description: "For the next step; null: that was all." }),
    wait: z.int().openapi({ description: "Milliseconds to wait before the next step: mail may be under way." }),
    at: z.iso.datetime().nullable().openapi({ description: "How far it is, in the order of arrival." }),
    counts: z
      .object({
        seen: z.int().openapi({ description: "Stored objects looked at." }),
        indexed: z.int().openapi({ description: "Copies, one a mailbox, that had no row and have one now." }),
        waiting: z.int().openapi({ description: "Of these, in the backlog." }),
        refused: z.int().openapi({ description: "Of these, refused by the origin." }),
        present: z.int().openapi({ description: "Copies that had a row." }),
        settled: z.int().openapi({ description: "Rows that said that a message waits which is settled: set right." }),
        repeats: z.int().openapi({ description: "Further octets of a message that has a row." }),
        skipped: z.int().openapi({ description: "Never accepted, or past their time." }),
        nobody: z.int().openapi({ description: "For addresses that are nobody's now: in the domain's own account." }),
        mailboxes: z.int().openapi({ description: "Mailboxes whose folders were looked after." }),
        renewed: z.int().openapi({ description: "Rows that no words found, and that have their full text now." }),
      })
      .openapi("ReindexCounts"),
    problems: z.array(z.object({ kind: z.enum(PROBLEM_KINDS), key: z.string(), detail: z.string() })),
    problemCount: z.int().openapi({ description: "All of this step's problems; `problems` has the first ones." }),
  })
  .openapi("ReindexStep");

export const reindexApi = newApi();

reindexApi.openapi(
  createRoute({
    method: "post",
    path: "/api/reindex",
    tags: ["service"],
    summary: "Make the index anew from what is stored: one step (operators)",
    description:
      "Call again with the cursor of the answer until it is null. A step may be made twice, and mail flows meanwhile: " +
      "what is in the index is left as it is, and nothing that was delivered, refused or taken out waits again.",
    request: { body: body(Ask) },
    responses: { 200: json(Step, "The step is made."), ...PROBLEMS },
  }),
  async (c) => {
    const { cursor = null, since, shard = null, dryRun } = c.req.valid("json");
    if (shard !== null && !shards(c.env).some(({ number }) => number === shard)) {
      return problemResponse(c, invalid("shard", `no database is bound as SHARD_${shard}`));
    }
    const options = { cursor, since: since === undefined ? null : Date.parse(since), shard, dryRun };
    try {
      const step = await reindexStep(c.env, options, Date.now());
      if (!step) return problemResponse(c, invalid("cursor", "is not a cursor of a reindex"));
      return c.json({ ...step, at: step.at === null ? null : instant(step.at), problems: [...step.problems] }, 200);
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      return problemResponse(c, { ...unavailable("Too much mail is under way; try again."), retryAfter: 5 });
    }
  },
);
