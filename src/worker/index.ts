import type { Env } from "./env.ts";

export { DomainObject } from "./domain/object.ts";
export default {
  async fetch(_r, env) {
    return Response.json({ do: await env.DOMAIN.getByName("x").hello() });
  },
} satisfies ExportedHandler<Env>;
