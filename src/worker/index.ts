/** What the platform calls. */
import { createApp } from "./access/app.ts";
import { gatewayRoutes } from "./access/gateway/routes.ts";
import { hourly } from "./archive/retention.ts";
import type { Env } from "./env.ts";
import { wakeAll, wakeWatched } from "./failback/wake.ts";
import { receiveEmail } from "./receive/email.ts";

export { DomainObject } from "./domain/object.ts";

const app = createApp();
const HOURLY = "17 * * * *";

export default {
  fetch(request, env, ctx) {
    // Gateways are not people: no session, no pages, and a WebSocket that must not be wrapped.
    const forGateways = new URL(request.url).pathname.startsWith("/gateway/");
    return (forGateways ? gatewayRoutes : app).fetch(request, env, ctx);
  },
  email: receiveEmail,
  async scheduled(controller, env) {
    if (controller.cron !== HOURLY) return wakeAll(env);
    // One must not keep the other from running.
    const [retained, woken] = await Promise.allSettled([hourly(env, controller.scheduledTime), wakeWatched(env)]);
    for (const result of [retained, woken]) if (result.status === "rejected") throw result.reason;
  },
} satisfies ExportedHandler<Env>;
