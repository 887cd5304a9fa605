/** What a benchmark makes for itself and leaves nothing of. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { during } from "../undo.ts";
import { Organisation } from "./organisation.ts";

export function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  return during(
    () => rmSync(folder, { recursive: true, force: true }),
    () => run(folder),
  );
}

/** A new service without mail. */
export function withOrganisation<T>(run: (organisation: Organisation, folder: string) => Promise<T>): Promise<T> {
  return inFolder(async (folder) => {
    const organisation = await Organisation.start(folder);
    return during(
      () => organisation.stop(),
      () => run(organisation, folder),
    );
  });
}
