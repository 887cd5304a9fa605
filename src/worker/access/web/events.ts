/** An event of the log in words. What is not known here is shown as it is. */
import type { NewEvent } from "../../domain/contract.ts";

type Facts = NewEvent["data"];

const SENTENCES: Readonly<Record<string, (facts: Facts) => string>> = {
  mode_changed: ({ to, cause }) => `Switched to ${text(to)} mode: ${text(cause)}`,
  failback_run: ({ delivered, refused, deferred }) =>
    `Waiting mail was given back: ${text(delivered)} delivered, ${text(refused)} refused, ${text(deferred)} deferred`,
  forward_failed: ({ to, error }) => `Mail could not be forwarded to ${text(to)}: ${text(error)}`,
  archive_copy_missing: () => "A message was delivered, but its archive copy could not be kept",
  line_ends_changed: () =>
    "A message had line ends that SMTP does not carry: on the way to the mail server they became CRLF, the archive has it as it came",
  late_refusal: ({ to, reply }) =>
    `After its sender had been answered, the mail server refused a message for ${text(to)}: ${text(reply)}`,
  late_reply_missing: ({ to }) =>
    `The mail server did not say whether it took a message for ${text(to)}: it goes again`,
  domain_created: () => "The domain was added",
  domain_changed: (facts) => `The settings were changed: ${listed(facts)}`,
  mailbox_registered: ({ mailbox }) => `The mailbox ${text(mailbox)} was registered`,
  mailboxes_registered: ({ mailboxes }) => `${text(mailboxes)} mailboxes were registered`,
  mailbox_changed: ({ mailbox, changed }) => `The mailbox ${text(mailbox)} was changed: ${text(changed)}`,
  mailbox_removed: ({ mailbox }) => `The mailbox ${text(mailbox)} was removed`,
  waiting_mail_kept: ({ messages, what }) => `${counted(messages)} for ${text(what)} stayed on Holdfast for good`,
  waiting_mail_discarded: ({ messages, what }) => `${counted(messages)} for ${text(what)} left the inbox undelivered`,
  waiting_mail_removed: ({ how, mailbox }) =>
    `A waiting message was ${text(how)} in ${text(mailbox)}, so it is not delivered`,
  sending_stopped: ({ who, why }) => `${text(who)} was stopped from sending: ${text(why)}`,
  sending_released: ({ who }) => `${text(who)} may send again`,
  sending_limited: ({ who, why }) => `A message of ${text(who)} was not taken: ${text(why)}`,
  outgoing_cancelled: ({ recipient }) => `A message to ${text(recipient)} was taken out of the queue`,
  relay_added: ({ by, value }) => `A server may send, known by its ${text(by)}: ${text(value)}`,
  relay_removed: () => "A server may not send any more",
  journal_address_added: ({ domains }) => `A journal address was made for ${text(domains)}`,
  journal_address_removed: () => "A journal address was taken away",
  dkim_key_made: ({ selector }) => `The DKIM key ${text(selector)} was made`,
  dkim_key_signs: ({ selector }) => `The DKIM key ${text(selector)} signs from now on`,
  dkim_key_deleted: ({ selector }) => `The DKIM key ${text(selector)} was forgotten`,
  archive_redelivered: ({ outcome, to }) =>
    `A message of the archive was delivered again${to === undefined ? "" : ` to ${text(to)}`}: ${text(outcome)}`,
};

export function describeEvent({ kind, data }: NewEvent): string {
  return SENTENCES[kind]?.(data) ?? [capitalised(words(kind)), listed(data)].filter(Boolean).join(": ");
}

function listed(facts: Facts): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => `${words(name)} ${text(value)}`)
    .join(", ");
}

function text(value: unknown): string {
  if (Array.isArray(value)) return value.map(text).join(", ");
  if (typeof value === "object" && value !== null) return `(${listed(value as Facts)})`;
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}

const counted = (count: unknown): string => `${text(count)} ${count === 1 ? "message" : "messages"}`;

/** `mode_changed` and `modeChanged` alike. */
const words = (name: string): string =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();

const capitalised = (sentence: string): string => sentence.charAt(0).toUpperCase() + sentence.slice(1);
