/** The gateway: a process that speaks SMTP where a Worker cannot listen. Stateless; run as many as you like. */
import { configure } from "./configuration.ts";
import { listenMx } from "./mx.ts";
import { listenRelay } from "./relay.ts";

const configured = configure(process.env);
if (!configured.ok) {
  for (const problem of configured.problems) console.error(problem);
  process.exit(2);
}
const { configuration } = configured;
const mx = await listenMx(configuration);
const relay = configuration.relay ? await listenRelay(configuration) : null;
console.log(
  JSON.stringify({
    mx: { host: mx.host, port: mx.port },
    ...(relay ? { relay: { host: relay.host, port: relay.port } } : {}),
  }),
);

let closing = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    // Transactions under way may need the relay until their end.
    void mx
      .close()
      .then(() => relay?.close())
      .then(() => process.exit(0));
  });
}
