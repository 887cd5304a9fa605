/** The gateway: a process that speaks SMTP where a Worker cannot listen. Stateless; run as many as you like. */
import { configure } from "./configuration.ts";
import { listenMx } from "./mx.ts";

const configured = configure(process.env);
if (!configured.ok) {
  for (const problem of configured.problems) console.error(problem);
  process.exit(2);
}
const mx = await listenMx(configured.configuration);
console.log(JSON.stringify({ mx: { host: mx.host, port: mx.port } }));

let closing = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    void mx.close().then(() => process.exit(0));
  });
}
