/** Names of folders, one level each (RFC 9051 §5.1). */
import { MAX_FOLDER_NAME_BYTES } from "./limits.ts";
import { err, ok, type Result } from "./result.ts";

/** Between the levels of a path, in IMAP; so no name has it. */
export const HIERARCHY_SEPARATOR = "/";

// Controls, and what makes a name look like another one: line ends and marks that turn the direction of writing.
const UNSEEN = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/u;

/**
 * The name as it is kept: in NFC (RFC 9051 §5.1, Net-Unicode), INBOX in capitals where it stands at the top.
 * @returns what is wrong with it, as the end of a sentence that begins with the field
 */
export function readFolderName(text: string, top: boolean): Result<string, string> {
  const name = text.normalize("NFC");
  if (name === "") return err("must not be empty");
  if (!name.isWellFormed()) return err("is not Unicode: half of a surrogate pair stands alone");
  if (name.includes(HIERARCHY_SEPARATOR)) return err(`must not contain "${HIERARCHY_SEPARATOR}": it separates levels`);
  if (UNSEEN.test(name)) return err("must not contain control characters");
  if (name !== name.trim()) return err("must not begin or end with a space");
  if (new TextEncoder().encode(name).length > MAX_FOLDER_NAME_BYTES) {
    return err(`must be at most ${MAX_FOLDER_NAME_BYTES} octets of UTF-8`);
  }
  return ok(top && /^inbox$/i.test(name) ? "INBOX" : name);
}
