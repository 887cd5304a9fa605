/** Many rows in few statements: as JSON, which `json_each` takes apart again. */
import { MAX_JSON_LIST } from "../../core/limits.ts";

/** JSON lists that together have all rows, in their order. One row that is too long has a list of its own. */
export function jsonLists(rows: readonly object[]): string[] {
  const pieces: string[] = [];
  let list: string[] = [];
  let length = 0;
  for (const row of rows) {
    const text = JSON.stringify(row);
    if (list.length > 0 && length + text.length > MAX_JSON_LIST) {
      pieces.push(`[${list.join(",")}]`);
      list = [];
      length = 0;
    }
    list.push(text);
    length += text.length;
  }
  if (list.length > 0) pieces.push(`[${list.join(",")}]`);
  return pieces;
}
