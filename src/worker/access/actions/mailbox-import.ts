/** Many mailboxes at once: every line is checked before the first is written, then all are written in one batch. */
import { MAX_IMPORT_MAILBOXES, MAX_IMPORT_PASSWORDS } from "../../../core/limits.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { logEvent } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import type { Principal } from "../../identity/principal.ts";
import { directory } from "../../store/directory.ts";
import type { DomainRow } from "../../store/domains.ts";
import { type MailboxRow, takenAddresses } from "../../store/mailboxes.ts";
import { parseCsv } from "../csv.ts";
import { type FieldError, invalid, invalidFields, type Problem } from "../problem.ts";
import { type CheckedMailbox, checkMailbox, type MailboxInput, register } from "./mailboxes.ts";

export interface ImportLine {
  /** Counted from 1: of the file, or of the list. */
  readonly line: number;
  readonly address: string;
  readonly input: MailboxInput;
}

export async function importMailboxes(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  lines: readonly ImportLine[],
  now: number,
): Promise<Result<MailboxRow[], Problem>> {
  if (lines.length === 0) return err(invalid("mailboxes", "is empty: give at least one mailbox"));
  if (lines.length > MAX_IMPORT_MAILBOXES) {
    return err(invalid("mailboxes", `has ${lines.length} lines; at most ${MAX_IMPORT_MAILBOXES} can come at once`));
  }
  const passwords = lines.filter(({ input }) => typeof input.password === "string").length;
  if (passwords > MAX_IMPORT_PASSWORDS) {
    return err(invalid("mailboxes", `has ${passwords} passwords; at most ${MAX_IMPORT_PASSWORDS} can come at once`));
  }
  const checked = await check(env, domain, lines);
  if (!checked.ok) return err(invalidFields(checked.error));
  const boxes = await register(env, domain, checked.value, now);
  if (!boxes.ok) return boxes;
  const event = { kind: "mailboxes_registered", actor: principal.name, data: { mailboxes: boxes.value.length } };
  await logEvent(env, domain.name, event);
  return boxes;
}

async function check(
  env: Env,
  domain: DomainRow,
  lines: readonly ImportLine[],
): Promise<Result<CheckedMailbox[], FieldError[]>> {
  const errors: FieldError[] = [];
  const boxes: { line: number; box: CheckedMailbox }[] = [];
  const seen = new Map<string, number>();
  for (const { line, address, input } of lines) {
    const result = checkMailbox(domain, address, input);
    if (!result.ok) {
      errors.push(...result.error.map((error) => ({ ...error, line })));
      continue;
    }
    const before = seen.get(result.value.address);
    if (before !== undefined) errors.push({ line, field: "address", message: `is on line ${before} already` });
    seen.set(result.value.address, line);
    boxes.push({ line, box: result.value });
  }
  const taken = await takenAddresses(directory(env), [...seen.keys()]);
  for (const { line, box } of boxes) {
    if (taken.has(box.address)) errors.push({ line, field: "address", message: "is registered already" });
  }
  errors.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return errors.length > 0 ? err(errors) : ok(boxes.map(({ box }) => box));
}

const COLUMNS = ["address", "password", "aliases", "covered", "alternateAddress"] as const;
type Column = (typeof COLUMNS)[number];

/** The first line names the columns. Several aliases in a cell are separated by spaces; an empty cell leaves the default. */
export function readMailboxCsv(text: string): Result<ImportLine[], Problem> {
  const parsed = parseCsv(text);
  if (!parsed.ok) {
    const { line, reason } = parsed.error;
    const message = reason === "unclosed_quote" ? "has a quote that is never closed" : "has text after a closing quote";
    return err(invalidFields([{ field: "", line, message }]));
  }
  const [header, ...rows] = parsed.value;
  const columns = header?.cells.map(columnOf) ?? [];
  const unknown = columns.indexOf(null);
  if (unknown >= 0) {
    const message = `unknown column; there are ${COLUMNS.join(", ")}`;
    return err(invalidFields([{ field: header?.cells[unknown] ?? "", line: header?.line ?? 1, message }]));
  }
  if (!columns.includes("address")) {
    return err(invalidFields([{ field: "address", line: 1, message: "the first line must name this column" }]));
  }
  const errors: FieldError[] = [];
  const lines: ImportLine[] = [];
  for (const { line, cells } of rows) {
    if (cells.length > columns.length) {
      errors.push({ field: "", line, message: `has ${cells.length} cells, but there are ${columns.length} columns` });
    }
    const cell = (name: Column): string | undefined => cells[columns.indexOf(name)] || undefined;
    const covered = readBoolean(cell("covered"));
    if (covered === null) errors.push({ field: "covered", line, message: "must be true or false" });
    const input = {
      password: cell("password"),
      aliases: cell("aliases")
        ?.split(/[\s,;]+/)
        .filter(Boolean),
      covered: covered ?? undefined,
      alternateAddress: cell("alternateAddress"),
    };
    lines.push({ line, address: cell("address") ?? "", input });
  }
  return errors.length > 0 ? err(invalidFields(errors)) : ok(lines);
}

function columnOf(name: string): Column | null {
  const plain = name.toLowerCase().replace(/[\s_-]/g, "");
  return COLUMNS.find((column) => column.toLowerCase() === plain) ?? null;
}

/** null: neither. */
function readBoolean(text: string | undefined): boolean | null | undefined {
  if (text === undefined) return undefined;
  if (/^(true|yes|1)$/i.test(text)) return true;
  return /^(false|no|0)$/i.test(text) ? false : null;
}
