/** Limits of what goes out: the queue, the ways it takes, who may submit, and the journal. Times in milliseconds unless a name says otherwise. */

/** What cannot be sent is given back after this (RFC 5321 §4.5.4.1 asks for 4 to 5 days; people want to know sooner). */
export const SEND_EXPIRY = 3 * 24 * 3600_000;
/** After this its sender hears that it takes longer (RFC 3461 §4.1, as sendmail and Postfix have it). */
export const SEND_WARNING = 4 * 3600_000;
/** The first pause of a message that could not be sent, and the last: some 60 tries in three days. */
export const FIRST_SEND_RETRY = 60_000;
export const LAST_SEND_RETRY = 90 * 60_000;
/** What is finished is remembered so long, so that a request that is repeated is known: longer than REPEAT_WINDOW and SEND_EXPIRY. */
export const OUTGOING_DAYS = 14;
/** Finished messages that one run of the purge takes of a shard. */
export const MAX_OUTGOING_PURGED = 5_000;
/** Messages that are sent at the same time for one domain: each takes a connection of the six that an invocation has. */
export const SEND_LANES = 4;
/** Rows of the queue read from a shard at once. */
export const QUEUE_PAGE = 200;
/** A run begins no further message after this; with a final reply that takes FINAL_TIMEOUT_BACKGROUND it stays within an alarm's 15 minutes. */
export const SEND_SLICE_TIME = 4 * 60_000;
/** Outcomes that go to D1 together; beyond it a run waits for D1. */
export const MAX_UNSETTLED = 200;
/** What somebody sends who was stopped is looked at again after this, should nobody have let them go on. */
export const STOPPED_PAUSE = 15 * 60_000;
/** Recipients that one mailbox may send to in an hour and a day, unless an operator says otherwise: a stolen password is no spam cannon. */
export const USER_HOUR = 200;
export const USER_DAY = 1_000;
/** The same for a domain, what its own server relays included. */
export const DOMAIN_HOUR = 5_000;
export const DOMAIN_DAY = 30_000;
/** Octets of a header that we add to or change on the way out; of a notice of failure, what it brings of the original's. */
export const MAX_RETURNED_HEADER_BYTES = 32 * 1024;
/** Body of a request that composes a message: some 10 MiB of attachments in base64. Larger ones come as message/rfc822. */
export const MAX_COMPOSE_BYTES = 15 * 1024 * 1024;
/** Cloudflare Email Service: https://developers.cloudflare.com/email-service/platform/limits/ */
export const CLOUDFLARE_MESSAGE_BYTES = 5 * 1024 * 1024;
export const CLOUDFLARE_RECIPIENTS = 50;
export const CLOUDFLARE_HEADER_BYTES = 16 * 1024;
/** One call of the send_email binding. */
export const CLOUDFLARE_SEND_TIMEOUT = 30_000;

/** Hosts of a domain that are tried in one go: whoever lists more means the first ones. */
export const MAX_MX_HOSTS = 5;
/** A name server's answer about a stranger's domain, doubled by the second try: nobody waits but the queue. */
export const MX_NAME_SERVER_TIMEOUT = 3_000;
/** A policy file (RFC 8461 §3.3 has a minute; whoever takes longer than this has none today), and its octets. */
export const STS_FETCH_TIMEOUT = 5_000;
export const MAX_STS_POLICY_BYTES = 64 * 1024;
/** Hosts in a policy, and how long one holds, in seconds (RFC 8461 §3.2: a year at most). */
export const MAX_STS_HOSTS = 100;
export const MAX_STS_LIFE = 31_557_600;
/** A policy that could not be had is not asked for again before (RFC 8461 §3.3: five minutes at least). */
export const STS_AGAIN = 5 * 60_000;
/** Domains whose policies a gateway remembers; the oldest go first. */
export const MAX_STS_POLICIES = 10_000;
/** All of a gateway's answer about a domain: two name server's tries, the policy file after its own look-up. */
export const MX_ANSWER_TIMEOUT = 25_000;
/** All of the way to a session with one of a domain's hosts: five that do not answer, and one gateway each. */
export const MX_OPEN_TIME = 90_000;
/** Connections to one MX host at once through a gateway: what Postfix allows itself (default_destination_concurrency_limit). */
export const MX_CONNECTIONS_PER_HOST = 20;

/** Characters of a login name or password on a submission port: an address, or a passphrase. */
export const MAX_LOGIN = 320;
/** Characters of a login's ticket. */
export const MAX_TICKET = 2_000;
/** The Worker's answer to a login: a password takes about a tenth of a second of its time, more under load. */
export const LOGIN_TIMEOUT = 15_000;
/** Wrong passwords on one connection to a submission port, which then ends (RFC 4954 §9 leaves the number to us). */
export const MAX_LOGIN_FAILURES = 3;
/** A ticket is good this long after its login; what is behind it is looked at with each message. */
export const TICKET_LIFE = 24 * 3600_000;

/** Relays and journal addresses of one domain: a listing shows all of them. */
export const MAX_RELAYS = 50;
export const MAX_JOURNAL_ADDRESSES = 20;
/** Domains that one relay sends for. */
export const MAX_RELAY_SENDERS = 100;
/** The widest range that a server may be known by, of IPv4 and of IPv6: what one organisation has to itself. */
export const WIDEST_RELAY_RANGE = { v4: 24, v6: 48 };
/** Ranges that one journal address takes mail from; Microsoft 365 publishes some ten, the widest of them these. */
export const MAX_JOURNAL_SOURCES = 50;
export const WIDEST_JOURNAL_SOURCE = { v4: 8, v6: 24 };
/** Characters of what a person calls a relay or journal address. */
export const MAX_LABEL = 200;

/**
 * Recipients of what one server passes on for senders that are nobody's here, reports of failure and forwarded mail, in an hour and
 * a day: an organisation of some thousand people; more is a server that somebody else has taken over.
 */
export const OTHERS_HOUR = 1_000;
export const OTHERS_DAY = 6_000;
/** Authors of one message in whose archives it is looked for a place (RFC 5322 §3.6.2 allows any number). */
export const MAX_ARCHIVED_AUTHORS = 10;
/** Recipients in one journal report: Exchange writes several reports where it has more than a thousand. */
export const MAX_JOURNAL_RECIPIENTS = 2_000;
/** Octets of the text of a journal report: that many recipients, with the lists that they come from. */
export const MAX_JOURNAL_TEXT_BYTES = 1024 * 1024;

/** Identities of one mailbox beside that of its own address, and characters of a signature: it may bring a small picture along. */
export const MAX_IDENTITIES = 50;
export const MAX_SIGNATURE = 100_000;
/** Addresses in an identity's Reply-To or Bcc. */
export const MAX_IDENTITY_ADDRESSES = 20;
/** Characters of a vacation notice, as text and as HTML each; longer ones are letters. */
export const MAX_NOTICE = 100_000;
/** A sender hears of a vacation once in this time (RFC 5230 §4.1: the usual one). */
export const NOTICE_AGAIN = 7 * 24 * 3600_000;
/**
 * Messages that are sent by themselves for one mailbox, in an hour and a day: notices, whose senders may be forged; copies to a private
 * address; and codes that confirm one, which reach somebody who has not asked for them. None counts among what its owner sends.
 */
export const AUTOMATIC = {
  vacation: { hour: 100, day: 500 },
  forwarding: { hour: 500, day: 3_000 },
  confirmation: { hour: 3, day: 10 },
} as const;
/** All of these of one domain: an outage of a day with a thousand people who have their mail sent on. */
export const AUTOMATIC_HOUR = 5_000;
export const AUTOMATIC_DAY = 50_000;
/** A code for a private address is good so long, and for so many tries; it has 40 bits. */
export const CONFIRMATION_LIFE = 24 * 3600_000;
export const CONFIRMATION_TRIES = 10;
export const CONFIRMATION_LENGTH = 8;
/** What follows arrivals: so many are read from a shard at once, and no further one is begun after this time in one alarm. */
export const FOLLOW_UP_PAGE = 50;
export const FOLLOW_UP_TIME = 60_000;
