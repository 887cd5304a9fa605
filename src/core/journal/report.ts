/**
 * The text of an Exchange envelope journal report (Exchange 2007 and later, Microsoft 365): who really sent the message
 * that is attached to it, and to whom it really went, one to a line:
 *
 *     Sender: alice@example.org
 *     On-Behalf-Of: boss@example.org
 *     Subject: Hello
 *     Message-Id: <x@example.org>
 *     To: bob@example.org
 *     Cc: dan@example.org, Expanded: everyone@example.org
 *     Bcc: fwd@example.net, Forwarded: eve@example.org
 *     Recipient: zoe@example.net
 *
 * Exchange 2003 has `Recipients:` with all of them on one line. Pure.
 */
import { parseAddress } from "../address.ts";
import { MAX_PATH_BYTES } from "../limits.ts";
import { err, ok, type Result } from "../result.ts";
import { MAX_JOURNAL_RECIPIENTS } from "../send/limits.ts";

export interface JournalReport {
  /** As the report has it; empty for the null sender. */
  readonly sender: string;
  /** On whose behalf it was sent; absent: their own. */
  readonly onBehalfOf?: string;
  /** Each once, as the report has them. */
  readonly recipients: readonly string[];
  /** Entries that are no address of mail, such as an X.400 address: they are nobody's here. */
  readonly unknown: number;
}

const LINE = /^([A-Za-z][A-Za-z-]{1,30}):(.*)$/;
const TO = new Set(["to", "cc", "bcc", "recipient"]);

/**
 * The first Sender counts, and one that comes behind the subject is none: a subject may have line ends in it, and was written by
 * a stranger.
 * @param text decoded; lines end in LF or CRLF
 * @returns what is wrong with it, in words for an administrator
 */
export function parseJournalReport(text: string): Result<JournalReport, string> {
  let sender: string | undefined;
  let onBehalfOf: string | undefined;
  let subject = false;
  let unknown = 0;
  const recipients = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name = "", body = ""] = LINE.exec(line) ?? [];
    const field = name.toLowerCase();
    const value = body.trim();
    if (field === "subject") subject = true;
    else if (field === "sender" && !subject) sender ??= senderIn(value) ?? undefined;
    else if (field === "on-behalf-of" && !subject) onBehalfOf ??= addressIn(value) ?? undefined;
    else if (TO.has(field) || field === "recipients") {
      for (const entry of field === "recipients" ? value.split(/[,;]/) : [withoutSource(value)]) {
        if (entry.trim() === "") continue;
        const address = addressIn(entry);
        if (address === null) unknown++;
        else recipients.set(normal(address), address);
        if (recipients.size > MAX_JOURNAL_RECIPIENTS)
          return err(`it has more than ${MAX_JOURNAL_RECIPIENTS} recipients`);
      }
    }
  }
  if (sender === undefined) return err("it does not say who sent the message (Sender)");
  if (recipients.size === 0 && unknown === 0)
    return err("it does not say to whom the message went (To, Cc, Bcc, Recipient)");
  const report = { sender, recipients: [...recipients.values()], unknown };
  return ok(onBehalfOf === undefined ? report : { ...report, onBehalfOf });
}

/** A distribution list that was expanded, or an address that was forwarded, stands behind the recipient. */
function withoutSource(value: string): string {
  return value.replace(/,[ \t]*(?:expanded|forwarded)[ \t]*:.*$/i, "");
}

/** @returns null where it is no address; the empty string for the null sender */
function senderIn(value: string): string | null {
  return value === "" || value === "<>" ? "" : addressIn(value);
}

function addressIn(text: string): string | null {
  const bare = (/<([^<>]*)>\s*$/.exec(text)?.[1] ?? text).trim().replace(/^"(.*)"$/, "$1");
  const address = bare.replace(/^smtp:/i, "");
  return address.length <= MAX_PATH_BYTES && parseAddress(address).ok ? address : null;
}

function normal(address: string): string {
  const parsed = parseAddress(address);
  return parsed.ok ? parsed.value.address : address;
}
