/** Dovecot's `imap` as another reader: the messages lie in a maildir of its own, and it speaks IMAP on its standard streams. */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetched, type ImapValue } from "./imap-values.ts";

/** All of a corpus of some thousand messages; it takes seconds. */
const TIMEOUT = 10 * 60_000;
/** Dovecot reads no mail as root. */
const NOBODY = "65534";

export interface DovecotAnswer {
  readonly envelope: ImapValue;
  readonly bodyStructure: ImapValue;
}

/**
 * @param program Dovecot's `imap`, 2.3
 * @param messages their line ends CRLF: Dovecot counts them so
 * @returns in the order of the messages
 * @throws where it does not answer for each
 */
export async function askDovecot(program: string, messages: readonly Uint8Array[]): Promise<DovecotAnswer[]> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-maildir-"));
  try {
    for (const name of ["cur", "new", "tmp"]) mkdirSync(join(folder, name));
    for (const [index, octets] of messages.entries())
      writeFileSync(join(folder, "cur", `${String(index + 1).padStart(9, "0")}.M1.holdfast:2,S`), octets);
    for (const path of [folder, ...["cur", "new", "tmp"].map((name) => join(folder, name))]) chmodSync(path, 0o777);
    const answers = fetched(await answerOf(program, folder));
    return messages.map((_, index) => {
      const items = answers.get(index + 1);
      const [envelope, bodyStructure] = [items?.get("ENVELOPE"), items?.get("BODYSTRUCTURE")];
      if (envelope === undefined || bodyStructure === undefined)
        throw new Error(`${program} says nothing of message ${index + 1}`);
      return { envelope, bodyStructure };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function answerOf(program: string, folder: string): Promise<string> {
  const settings = {
    mail_location: `maildir:${folder}:INDEX=MEMORY`,
    mail_uid: NOBODY,
    mail_gid: NOBODY,
    first_valid_uid: "1",
    first_valid_gid: "1",
    log_path: join(folder, "log"),
  };
  const args = ["-O", ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
  const [commands, answer] = [join(folder, "commands"), join(folder, "answer")];
  writeFileSync(commands, "a SELECT INBOX\r\nb FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\nc LOGOUT\r\n");
  // Node's streams are sockets to it, and started on a socket it takes itself for a server of inetd's.
  const child = spawn("sh", ["-c", 'cat "$0" | "$@" > "$HOME/answer"', commands, program, ...args], {
    env: { ...process.env, USER: "nobody", HOME: folder },
    stdio: "ignore",
    timeout: TIMEOUT,
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => {
      const text = existsSync(answer) ? readFileSync(answer, "latin1") : "";
      if (/^b OK /m.test(text)) resolve(text);
      else reject(new Error(`${program} has not answered: ${lastLine(join(folder, "log"))}`));
    });
  });
}

function lastLine(path: string): string {
  return existsSync(path) ? (readFileSync(path, "utf8").trim().split("\n").at(-1) ?? "") : "it says nothing";
}
