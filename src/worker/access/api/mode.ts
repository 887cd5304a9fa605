/** The mode of a domain, its events, and the addresses seen in its mail. */
import { createRoute, z } from "@hono/zod-openapi";
import type { ModeView } from "../../../core/mode.ts";
import { askDomain } from "../../domain/ask.ts";
import { chooseMode } from "../actions/mode.ts";
import { principalOf } from "../context.ts";
import { problemResponse } from "../problem.ts";
import { body, cut, DomainPath, instant, json, newApi, PageQuery, PROBLEMS, page } from "./api.ts";

const MODES = ["normal", "emergency"] as const;

const Mode = z
  .object({
    mode: z.enum(MODES),
    modeSince: z.iso.datetime(),
    modeCause: z.string(),
    switching: z.enum(["manual", "automatic"]),
    choice: z.object({ mode: z.enum(MODES), actor: z.string(), at: z.iso.datetime() }).nullable(),
    doubt: z.boolean(),
    goodSince: z.iso.datetime().nullable(),
  })
  .openapi("Mode");

function modeView({ mode, since, cause, switching, choice, doubt, goodSince }: ModeView): z.infer<typeof Mode> {
  return {
    mode,
    modeSince: instant(since),
    modeCause: cause,
    switching,
    choice: choice && { ...choice, at: instant(choice.at) },
    doubt,
    goodSince: goodSince === null ? null : instant(goodSince),
  };
}

const Event = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    kind: z.string(),
    actor: z.string(),
    data: z.record(z.string(), z.unknown()),
    hash: z.string().openapi({ description: "SHA-256 over the entry and the hash of the one before it." }),
  })
  .openapi("Event");

const Seen = z
  .object({
    id: z.string(),
    address: z.string(),
    firstAt: z.iso.datetime(),
    lastAt: z.iso.datetime(),
    messages: z.int(),
  })
  .openapi("SeenAddress");

const SEQUENCE = z
  .string()
  .regex(/^\d{1,15}$/, "is not a cursor of this list")
  .optional();

export const modeApi = newApi();

modeApi.openapi(
  createRoute({
    method: "put",
    path: "/api/domains/{domain}/mode",
    tags: ["domains"],
    summary: "A person's choice of the mode, which wins over the automatism until `auto` releases it",
    request: { params: DomainPath, body: body(z.strictObject({ mode: z.enum([...MODES, "auto"]) })) },
    responses: { 200: json(Mode, "The mode as it is now."), ...PROBLEMS },
  }),
  async (c) => {
    const result = await chooseMode(c.env, principalOf(c), c.get("domain"), c.req.valid("json").mode);
    return result.ok ? c.json(modeView(result.value), 200) : problemResponse(c, result.error);
  },
);

modeApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/events",
    tags: ["domains"],
    summary: "What happened, newest first",
    request: { params: DomainPath, query: PageQuery.extend({ cursor: SEQUENCE }) },
    responses: { 200: json(page(Event), "A page."), ...PROBLEMS },
  }),
  async (c) => {
    const { cursor, limit } = c.req.valid("query");
    const before = cursor === undefined ? null : Number(cursor);
    const events = await askDomain(c.env, c.get("domain").name, (object) => object.events(before, limit + 1));
    const { items, next } = cut(events, limit, ({ seq }) => String(seq));
    return c.json(
      { items: items.map(({ seq, at, ...event }) => ({ ...event, id: String(seq), at: instant(at) })), next },
      200,
    );
  },
);

modeApi.openapi(
  createRoute({
    method: "get",
    path: "/api/domains/{domain}/seen-addresses",
    tags: ["domains"],
    summary:
      "Addresses that the mail server has accepted and nobody registered: in emergency mode they would be rejected",
    request: { params: DomainPath, query: PageQuery.omit({ cursor: true }) },
    responses: { 200: json(page(Seen), "All in one page, at most `limit`."), ...PROBLEMS },
  }),
  async (c) => {
    const { name } = c.get("domain");
    const seen = await askDomain(c.env, name, (object) => object.seen(c.req.valid("query").limit));
    const items = seen.map(({ local, firstAt, lastAt, messages }) => {
      const address = `${local}@${name}`;
      return { id: address, address, firstAt: instant(firstAt), lastAt: instant(lastAt), messages };
    });
    return c.json({ items, next: null }, 200);
  },
);
