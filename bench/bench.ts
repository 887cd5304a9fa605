/** `npm run bench` */
import { compareFailback } from "./failback/compare.ts";
import { Reporter } from "./reporter.ts";

const report = new Reporter(process.argv.includes("--json"));
await compareFailback(
  { messages: Number(process.env.MESSAGES ?? 5000), latencies: (process.env.LAT ?? "20,100,0").split(",").map(Number) },
  report,
);
