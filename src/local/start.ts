/** `npm start`. */
import { parseSettings } from "./settings.ts";

const parsed = parseSettings(process.env);
if (!parsed.ok) {
  for (const problem of parsed.problems) console.error(problem);
  process.exit(1);
}

const asked = Promise.withResolvers<void>();
let stopping = false;
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
  process.on(signal, () => {
    stopping = true;
    asked.resolve();
  });

try {
  // Bad settings are told at once: wrangler and Miniflare, which come with this, take seconds to load.
  const { startHoldfast } = await import("./holdfast.ts");
  const holdfast = await startHoldfast(parsed.settings);
  const { http, mx, submission, submissions } = holdfast.addresses;
  console.log(`panel, webmail, API: ${http}`);
  console.log(`MX port (SMTP): ${mx.host}:${mx.port}`);
  if (submission) console.log(`submission (STARTTLS): ${submission.host}:${submission.port}`);
  if (submissions) console.log(`submission (TLS): ${submissions.host}:${submissions.port}`);
  if (!stopping) console.log("holdfast ready");
  await asked.promise;
  await holdfast.stop();
} catch (error) {
  // A Ctrl-C in the terminal reaches the children too; what they say to it then is no failure.
  if (!stopping) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
process.exit();
