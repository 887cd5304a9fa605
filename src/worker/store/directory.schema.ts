/** The directory database (binding `DIRECTORY`): who there is. Small, one for the whole service. */
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const customer = sqliteTable("customer", {
  id: integer("id").primaryKey(),
  name: text("name").notNull(),
});

export const domain = sqliteTable("domain", {
  id: integer("id").primaryKey(),
  /** Lower case, A-labels (RFC 5890 §2.3.2.1). */
  name: text("name").notNull().unique(),
  customer: integer("customer").references(() => customer.id),
  continuity: integer("continuity", { mode: "boolean" }).notNull().default(false),
  coverage: text("coverage", { enum: ["all", "selected"] })
    .notNull()
    .default("all"),
  switching: text("switching", { enum: ["manual", "automatic"] })
    .notNull()
    .default("manual"),
  /** The mode as of the last change; it holds where the domain's object does not answer. */
  mode: text("mode", { enum: ["normal", "emergency"] })
    .notNull()
    .default("normal"),
  /** Unix milliseconds. */
  modeSince: integer("mode_since").notNull().default(0),
  /** JSON, see `DomainSettings` in domain/contract.ts. */
  settings: text("settings").notNull().default("{}"),
  /** JSON, see `Route` in domain/contract.ts: the route to the origin without its password. */
  route: text("route"),
  /** The origin's password, AES-GCM, base64 of nonce and ciphertext. */
  routeEncrypted: text("route_encrypted"),
  keyId: text("key_id"),
  /** JSON, see `OutgoingSettings` in send/settings.ts: how the domain's mail goes out; null: it sends none. */
  outgoing: text("outgoing"),
  /** The smart host's password, as `routeEncrypted`. */
  outgoingEncrypted: text("outgoing_encrypted"),
  outgoingKeyId: text("outgoing_key_id"),
  /** Goes up with every change of the domain, its mailboxes or addresses: the domain's object compares it with its copy. */
  version: integer("version").notNull().default(1),
  /** Unix milliseconds. */
  createdAt: integer("created_at").notNull(),
});

export const mailbox = sqliteTable(
  "mailbox",
  {
    /** Also the number of the account on the shard. */
    id: integer("id").primaryKey(),
    domain: integer("domain")
      .notNull()
      .references(() => domain.id),
    /** The primary address, as the user writes it, lower case. */
    address: text("address").notNull().unique(),
    /** Chosen for continuity; counts only where the domain's coverage is `selected`. */
    covered: integer("covered", { mode: "boolean" }).notNull().default(true),
    /** The number of the D1 binding `SHARD_n` that holds its messages. */
    shard: integer("shard").notNull().default(0),
    /** A scrypt string (identity/password.ts), or null: no login. */
    password: text("password"),
    alternate: text("alternate"),
    disabled: integer("disabled", { mode: "boolean" }).notNull().default(false),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("mailbox_domain").on(t.domain, t.address)],
);

/** An address of a mailbox, its primary one or an alias. An alias may belong to several mailboxes. */
export const address = sqliteTable(
  "address",
  {
    domain: integer("domain").notNull(),
    /** The local part, lower case, without plus-tag. */
    local: text("local").notNull(),
    mailbox: integer("mailbox")
      .notNull()
      .references(() => mailbox.id),
  },
  (t) => [primaryKey({ columns: [t.domain, t.local, t.mailbox] }), index("address_mailbox").on(t.mailbox)],
);

/** What a person who is not a mailbox user may do: administrators of a customer, further operators. */
export const role = sqliteTable("role", {
  id: integer("id").primaryKey(),
  email: text("email").notNull().unique(),
  kind: text("kind", { enum: ["operator", "administrator"] }).notNull(),
  customer: integer("customer").references(() => customer.id),
});

/** A way to prove who one is: the password of a role, an app password, a passkey, a recovery code. Hashed. */
export const credential = sqliteTable(
  "credential",
  {
    id: integer("id").primaryKey(),
    role: integer("role").references(() => role.id),
    mailbox: integer("mailbox").references(() => mailbox.id),
    kind: text("kind", { enum: ["password", "app_password", "passkey", "totp", "recovery_code", "token"] }).notNull(),
    hash: text("hash").notNull(),
    label: text("label"),
    createdAt: integer("created_at").notNull(),
    usedAt: integer("used_at"),
  },
  (t) => [index("credential_mailbox").on(t.mailbox), index("credential_role").on(t.role)],
);

export const session = sqliteTable(
  "session",
  {
    /** SHA-256 of the token, hexadecimal. */
    hash: text("hash").primaryKey(),
    kind: text("kind", { enum: ["operator", "administrator", "user"] }).notNull(),
    /** The login name. */
    name: text("name").notNull(),
    mailbox: integer("mailbox").references(() => mailbox.id),
    customer: integer("customer").references(() => customer.id),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (t) => [index("session_expires").on(t.expiresAt)],
);

/** How far work in the background is (store/tasks.ts). */
export const task = sqliteTable("task", {
  name: text("name").primaryKey(),
  /** JSON. */
  state: text("state").notNull(),
});

/** The last move of a mailbox to another shard; one row a mailbox (move/). Times in unix milliseconds. */
export const mailboxMove = sqliteTable("mailbox_move", {
  mailbox: integer("mailbox").primaryKey(),
  domain: integer("domain").notNull(),
  source: integer("source").notNull(),
  target: integer("target").notNull(),
  phase: text("phase", {
    enum: ["copying", "switching", "switched", "purging", "done", "cancelling", "cancelled"],
  }).notNull(),
  /** JSON, see `Progress` in move/contract.ts: where the phase goes on. */
  progress: text("progress").notNull().default("{}"),
  actor: text("actor").notNull(),
  /** Goes up with each switch that is tried and taken back: what is left of an earlier try changes nothing. */
  attempt: integer("attempt").notNull().default(1),
  /** Somebody is at it until then. */
  leaseUntil: integer("lease_until").notNull().default(0),
  /** Nothing to do before. */
  dueAt: integer("due_at").notNull().default(0),
  startedAt: integer("started_at").notNull(),
  switchedAt: integer("switched_at"),
  endedAt: integer("ended_at"),
  /** What went wrong the last time, in words; null once it goes on. */
  problem: text("problem"),
});

/** What an operator sets for the whole service. */
export const setting = sqliteTable("setting", {
  /** Such as `new_mailboxes_shard`. */
  name: text("name").primaryKey(),
  value: text("value").notNull(),
});

/** The keys that sign a domain's mail (RFC 6376); one signs, those before it are there until their records may go from DNS. */
export const dkimKey = sqliteTable(
  "dkim_key",
  {
    domain: integer("domain")
      .notNull()
      .references(() => domain.id),
    /** RFC 6376 §3.1. */
    selector: text("selector").notNull(),
    /** Base64 of its SubjectPublicKeyInfo: what `p=` is in DNS. */
    publicKey: text("public_key").notNull(),
    /** PKCS #8 in PEM, AES-GCM, base64 of nonce and ciphertext. */
    encrypted: text("encrypted").notNull(),
    keyId: text("key_id").notNull(),
    /** It signs. */
    active: integer("active", { mode: "boolean" }).notNull(),
    /** Unix milliseconds. */
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.domain, t.selector] })],
);

/** A customer's own server that sends through us: how it is known, and for which domains it speaks. */
export const relay = sqliteTable(
  "relay",
  {
    /** Never again after it is deleted: a ticket names it. */
    id: integer("id").primaryKey({ autoIncrement: true }),
    domain: integer("domain")
      .notNull()
      .references(() => domain.id),
    kind: text("kind", { enum: ["login", "address", "certificate"] }).notNull(),
    /** The login name; the range as core/ip-range.ts writes it; the certificate's SHA-256, hexadecimal. */
    value: text("value").notNull(),
    /** Of a login: SHA-256 of its secret, which has 160 random bits, hexadecimal. Else null. */
    hash: text("hash"),
    /** JSON list of domains, in normal form, that it may name as sender; its own is among them. */
    senders: text("senders").notNull(),
    label: text("label").notNull(),
    actor: text("actor").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("relay_known").on(t.kind, t.value), index("relay_domain").on(t.domain)],
);

/** An address to which a customer's server sends copies of its mail. Several a domain, so that it can be changed without a gap. */
export const journalAddress = sqliteTable(
  "journal_address",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    domain: integer("domain")
      .notNull()
      .references(() => domain.id),
    /** SHA-256 of the secret in the address, which has 160 random bits, hexadecimal. */
    hash: text("hash").notNull().unique(),
    /** `reports`: Exchange's, with the message attached; `copies`: the messages themselves. Neither is taken for the other. */
    format: text("format", { enum: ["reports", "copies"] }).notNull(),
    /** JSON list of the domains, in normal form, whose mail is kept; its own is among them. */
    domains: text("domains").notNull(),
    /** JSON list of ranges as core/ip-range.ts writes them; empty: from anywhere. */
    sources: text("sources").notNull(),
    label: text("label").notNull(),
    actor: text("actor").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("journal_address_domain").on(t.domain)],
);
