import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { keptBundle } from "../../src/local/kept-bundle.ts";
import { folder } from "./folder.ts";

/** As small as a Worker can be, laid out as ours is. */
function repository(): string {
  const place = folder();
  for (const name of ["src/core", "src/worker", "migrations/shard"]) mkdirSync(join(place, name), { recursive: true });
  const lines = ['name = "small"', 'main = "src/worker/index.ts"', 'compatibility_date = "2026-01-01"'];
  writeFileSync(join(place, "wrangler.toml"), `${lines.join("\n")}\n`);
  writeFileSync(join(place, "package-lock.json"), "{}");
  writeFileSync(join(place, "src/core/word.ts"), 'export const word = "first";\n');
  writeFileSync(
    join(place, "src/worker/index.ts"),
    'import { word } from "../core/word.ts";\nexport default { fetch: () => new Response(word) };\n',
  );
  return place;
}

it("a bundle is made once for the same sources, and anew when one of them has changed", async () => {
  const place = repository();
  const kept = join(place, "kept");
  const bundle = async (name: string) => {
    const [main] = await keptBundle(join(place, "wrangler.toml"), join(place, name), kept);
    return readFileSync(main?.path ?? "", "utf8");
  };
  expect(await bundle("one")).toContain("first");
  const [known] = readdirSync(kept);
  // Whoever makes it a second time cannot have this line.
  appendFileSync(join(kept, known ?? "", "index.js"), "// from the one that was kept\n");
  expect(await bundle("two")).toContain("from the one that was kept");
  writeFileSync(join(place, "src/core/word.ts"), 'export const word = "second";\n');
  const anew = await bundle("three");
  expect(anew).toContain("second");
  expect(anew).not.toContain("from the one that was kept");
  expect(readdirSync(kept)).toHaveLength(2);
}, 240_000);

it("a bundle that cannot be kept is used all the same", async () => {
  const place = repository();
  // No folder: nothing can be kept in it, whoever the tests run as.
  writeFileSync(join(place, "kept"), "");
  const [main] = await keptBundle(join(place, "wrangler.toml"), join(place, "bundle"), join(place, "kept"));
  expect(readFileSync(main?.path ?? "", "utf8")).toContain("first");
}, 240_000);
