/** RFC 4180, as spreadsheets write it: commas or semicolons, quotes, CRLF or LF, perhaps a byte order mark. */
import { err, ok, type Result } from "../../core/result.ts";

export interface CsvRow {
  /** Where the row begins, counted from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

export type CsvError = { readonly line: number; readonly reason: "unclosed_quote" | "text_after_quote" };

/** Empty lines are passed over. The separator is the one that the first line has more of. */
export function parseCsv(input: string): Result<CsvRow[], CsvError> {
  const text = input.startsWith("\uFEFF") ? input.slice(1) : input;
  const first = text.slice(0, text.search(/[\r\n]|$/));
  const separator = count(first, ";") > count(first, ",") ? ";" : ",";
  const rows: CsvRow[] = [];
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const begun = line;
    const cells: string[] = [];
    for (;;) {
      let cell = "";
      if (text[at] === '"') {
        let end = at + 1;
        for (;;) {
          const quote = text.indexOf('"', end);
          if (quote < 0) return err({ line: begun, reason: "unclosed_quote" });
          cell += text.slice(end, quote);
          end = quote + 1;
          if (text[end] !== '"') break;
          cell += '"';
          end += 1;
        }
        line += count(cell, "\n");
        at = end;
        if (at < text.length && text[at] !== separator && text[at] !== "\r" && text[at] !== "\n") {
          return err({ line, reason: "text_after_quote" });
        }
      } else {
        const start = at;
        while (at < text.length && text[at] !== separator && text[at] !== "\r" && text[at] !== "\n") at += 1;
        cell = text.slice(start, at);
      }
      cells.push(cell.trim());
      if (text[at] !== separator) break;
      at += 1;
    }
    if (text[at] === "\r") at += 1;
    if (text[at] === "\n") at += 1;
    line += 1;
    if (cells.some((cell) => cell !== "")) rows.push({ line: begun, cells });
  }
  return ok(rows);
}

const count = (text: string, char: string): number => text.split(char).length - 1;
