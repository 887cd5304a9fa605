/** What the platform calls. */
import { createApp } from "./access/app.ts";
import { gatewayRoutes } from "./access/gateway/routes.ts";
import { mendArchive } from "./archive/mend.ts";
import { renewFullText } from "./archive/renewal.ts";
import { hourly } from "./archive/retention.ts";
import type { Env } from "./env.ts";
import { wakeAll, wakeWatched } from "./failback/wake.ts";
import { moveMailboxes } from "./move/drive.ts";
import { receiveEmail } from "./receive/email.ts";
import { purgeSent, wakeSending } from "./send/upkeep.ts";

export { OriginKeeper } from "./deliver/keeper.ts";
export { DomainObject } from "./domain/object.ts";
export { CarrierObject } from "./failback/carrier.ts";
export { OutboundObject } from "./send/object.ts";

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
    const now = controller.scheduledTime;
    if (controller.cron !== HOURLY) {
      const results = await Promise.allSettled([
        wakeAll(env),
        wakeSending(env),
        moveMailboxes(env),
        renewFullText(env, now, { again: false }),
      ]);
      for (const result of results) if (result.status === "rejected") throw result.reason;
      return;
    }
    // One must not keep the others from running.
    const results = await Promise.allSettled([
      hourly(env, now),
      wakeWatched(env),
      mendArchive(env, now),
      renewFullText(env, now, { again: true }),
      purgeSent(env, now),
    ]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  },
} satisfies ExportedHandler<Env>;
