/** The shards, and moves of mailboxes between them. For operators. */
import { createRoute, z } from "@hono/zod-openapi";
import type { Move } from "../../move/contract.ts";
import {
  chooseShardOfNew,
  moveOf,
  picturesOfShards,
  type ShardPicture,
  startMove,
  stopMove,
} from "../actions/shards.ts";
import { principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, DomainPath, instant, json, newApi, PROBLEMS, page } from "./api.ts";

const ShardNumber = z.int().min(0).max(9999);

const ShardSchema = z
  .object({
    id: z.string(),
    number: ShardNumber,
    state: z.enum(["ready", "no_tables", "no_answer"]).openapi({
      description: "`no_tables`: its migrations have not been applied, so that it is not used.",
    }),
    mailboxes: z.int(),
    messages: z.int().nullable(),
    size: z.int().nullable().openapi({ description: "Octets; D1 takes 10 GB a database." }),
    takesNew: z.boolean().openapi({ description: "New mailboxes go here." }),
    moving: z.object({ here: z.int(), away: z.int() }).openapi({ description: "Mailboxes that are on their way." }),
  })
  .openapi("Shard");

const MoveSchema = z
  .object({
    from: ShardNumber,
    to: ShardNumber,
    phase: z.enum(["copying", "switching", "switched", "purging", "done", "cancelling", "cancelled"]).openapi({
      description: "From `switched` on the mailbox is in use on its new shard; then the old rows are cleared away.",
    }),
    messages: z.object({
      total: z.int().openapi({ description: "In the mailbox when the copy began." }),
      copied: z.int(),
      changes: z.int().openapi({ description: "Changes that were made meanwhile and brought after." }),
      cleared: z.int().openapi({ description: "Cleared away from the old shard." }),
    }),
    startedAt: z.iso.datetime(),
    switchedAt: z.iso.datetime().nullable(),
    endedAt: z.iso.datetime().nullable(),
    nextStepAt: z.iso.datetime().nullable().openapi({ description: "Nothing happens before." }),
    problem: z.string().nullable().openapi({ description: "What held it up the last time; it is tried again." }),
  })
  .openapi("MailboxMove");

const shardView = ({ number, ...rest }: ShardPicture): z.infer<typeof ShardSchema> => ({
  id: String(number),
  number,
  ...rest,
});

function moveView({ source, target, phase, progress, ...move }: Move): z.infer<typeof MoveSchema> {
  const { total, copied, changes, cleared } = progress;
  return {
    from: source,
    to: target,
    phase,
    messages: { total, copied, changes, cleared },
    startedAt: instant(move.startedAt),
    switchedAt: move.switchedAt === null ? null : instant(move.switchedAt),
    endedAt: move.endedAt === null ? null : instant(move.endedAt),
    nextStepAt: move.endedAt !== null || move.dueAt === 0 ? null : instant(move.dueAt),
    problem: move.problem,
  };
}

const MovePath = DomainPath.extend({ address: z.string().openapi({ example: "alice@example.org" }) });

export const shardsApi = newApi();

shardsApi.openapi(
  createRoute({
    method: "get",
    path: "/api/shards",
    tags: ["shards"],
    summary: "The databases that hold mailboxes and the archive's index (operators)",
    responses: { 200: json(page(ShardSchema), "All in one page."), ...PROBLEMS },
  }),
  async (c) => c.json({ items: (await picturesOfShards(c.env)).map(shardView), next: null }, 200),
);

shardsApi.openapi(
  createRoute({
    method: "put",
    path: "/api/shards/new",
    tags: ["shards"],
    summary: "Where new mailboxes go (operators); null: to the shard with the highest number, which is the default",
    request: { body: body(z.strictObject({ shard: ShardNumber.nullable() })) },
    responses: { 200: json(page(ShardSchema), "The shards as they are now."), ...PROBLEMS },
  }),
  async (c) => {
    const problem = await chooseShardOfNew(c.env, c.req.valid("json").shard);
    if (problem) return problemResponse(c, problem);
    return c.json({ items: (await picturesOfShards(c.env)).map(shardView), next: null }, 200);
  },
);

const MOVE = "/api/domains/{domain}/mailboxes/{address}/move";

shardsApi.openapi(
  createRoute({
    method: "post",
    path: MOVE,
    tags: ["shards"],
    summary: "Move a mailbox to another shard while mail flows (operators); asked for again, it goes on",
    request: { params: MovePath, body: body(z.strictObject({ shard: ShardNumber })) },
    responses: { 202: json(MoveSchema, "Begun."), ...PROBLEMS },
  }),
  async (c) => {
    const { address } = c.req.valid("param");
    const { shard } = c.req.valid("json");
    const move = await startMove(c.env, c.executionCtx, principalOf(c), c.get("domain"), address, shard, Date.now());
    return move.ok ? c.json(moveView(move.value), 202) : problemResponse(c, move.error);
  },
);

shardsApi.openapi(
  createRoute({
    method: "get",
    path: MOVE,
    tags: ["shards"],
    summary: "How far the last move of a mailbox is (operators)",
    request: { params: MovePath },
    responses: { 200: json(MoveSchema, "As it is now."), ...PROBLEMS },
  }),
  async (c) => {
    const move = await moveOf(c.env, c.get("domain"), c.req.valid("param").address);
    return move.ok ? c.json(moveView(move.value), 200) : problemResponse(c, move.error);
  },
);

shardsApi.openapi(
  createRoute({
    method: "delete",
    path: MOVE,
    tags: ["shards"],
    summary: "Cancel a move that has not come to the switch (operators)",
    request: { params: MovePath },
    responses: { 202: json(MoveSchema, "What was copied is thrown away; the mailbox stays."), ...PROBLEMS },
  }),
  async (c) => {
    const move = await stopMove(c.env, c.executionCtx, c.get("domain"), c.req.valid("param").address);
    return move.ok ? c.json(moveView(move.value), 202) : problemResponse(c, move.error);
  },
);
