/** What the domain's object and the rest of the Worker say to each other. Everything here is structured-clonable. */
import type { ModeView } from "../../core/mode.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { FateState } from "../../core/verdict.ts";
import type { Fate, Taken } from "../failback/fates.ts";

/**
 * How the origin is reached: host, port, TLS and login are those of its SMTP server, whatever the transport. The password
 * travels encrypted and is opened only by deliver/.
 */
export interface Route {
  /** `smtp`: from the Worker; `gateway`: through a gateway, port 25 too; `forward`: by Email Routing, from within `email()`. */
  readonly transport: "smtp" | "gateway" | "forward";
  /** With `forward`: the way of all that has no `email()` to forward from, such as probes, redelivery and mail of the MX port. */
  readonly via?: "smtp" | "gateway";
  /** With `forward`: the domain that the local part is forwarded to; lower case, A-labels. */
  readonly forwardDomain?: string;
  readonly host: string;
  readonly port: number;
  readonly tls: "implicit" | "starttls" | "none";
  readonly username?: string;
  /** AES-GCM, base64 (identity/secret.ts). */
  readonly passwordEncrypted?: string;
  readonly keyId?: string;
}

export interface DomainSettings {
  /** The mailbox that takes postmaster@ and abuse@ in emergency mode where they are not registered (RFC 5321 §4.5.1). */
  readonly postmaster?: string;
}

/** The directory's facts about a domain, as the object keeps them. */
export interface DomainFacts {
  readonly id: number;
  readonly name: string;
  readonly continuity: boolean;
  readonly coverage: "all" | "selected";
  readonly switching: "manual" | "automatic";
  readonly settings: DomainSettings;
  readonly route: Route | null;
  readonly version: number;
}

/** A mailbox that an address belongs to. */
export interface Holder {
  readonly account: number;
  readonly shard: number;
  /** The primary address. */
  readonly mailbox: string;
  /** The mailbox's own choice; what counts is `Recipient.status`. */
  readonly chosen: boolean;
}

/**
 * `covered`: continuity is on for at least one holder (then `holders` has only those); `registered`: a mailbox, but not
 * covered; `unknown`: nobody's; `role`: postmaster or abuse without a mailbox, in emergency mode kept for the panel.
 */
export interface Recipient {
  readonly status: "covered" | "registered" | "unknown";
  readonly holders: readonly Holder[];
}

/** All that the mail's way needs to know, in one call. */
export interface Plan {
  readonly domain: Pick<DomainFacts, "id" | "name" | "continuity" | "switching" | "route">;
  readonly mode: "normal" | "emergency";
  readonly recipient: Recipient;
  /** Not registered, and not in the list of seen addresses yet: report it when the origin accepts it. */
  readonly unseen: boolean;
  /** The origin is in doubt: report successes too. */
  readonly doubt: boolean;
  /** A final reply was late within the last day. */
  readonly slowFinal: boolean;
  /** Someone watches one of the recipient's mailboxes, or the domain: `changed` is to be reported once it is stored. */
  readonly watched: boolean;
  /** Which source answered: the object, or D1 in its stead. */
  readonly source: "object" | "directory";
}

/** A mailbox is in another state, or may be. */
export interface AccountChange {
  readonly account: number;
  /** Its account's counter; absent: to be read, where somebody watches. */
  readonly seq?: number;
  /** Whoever wrote had no answer: it may be done later still, so it is read once more when that must be over. */
  readonly pending?: true;
}

/** What the mail's way, and whoever changes a mailbox, tells the object after the fact. */
export type Report =
  /** `began`: unix milliseconds, when the attempt began; absent: now. */
  | { readonly kind: "outcome"; readonly recipient: string; readonly outcome: Outcome; readonly began?: number }
  | { readonly kind: "seen"; readonly local: string }
  /** `flights`: keys of those whose octets do not say that they went to the portal; absent: none. */
  | { readonly kind: "waiting"; readonly flights?: readonly string[] }
  | { readonly kind: "fate"; readonly state: FateState; readonly flights: readonly string[] }
  | { readonly kind: "event"; readonly event: NewEvent }
  | { readonly kind: "changed"; readonly changes: readonly AccountChange[] }
  /** Messages have come into the archives of these mailboxes, and into no folder. */
  | { readonly kind: "archived"; readonly accounts: readonly number[] }
  /** Whoever came in by the old password of these mailboxes has to come again. */
  | { readonly kind: "login_changed"; readonly accounts: readonly number[] };

/** An entry for the domain's log. Nothing secret, no message content. */
export interface NewEvent {
  /** Snake case, such as `mode_changed`, `archive_copy_missing`, `failback_run`. */
  readonly kind: string;
  /** Who did it: a login name, `probe`, `delivery`, `failback`, `system`. */
  readonly actor: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface LoggedEvent extends NewEvent {
  readonly seq: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly hash: string;
}

export interface ProbeRecord {
  readonly at: number;
  readonly ok: boolean;
  readonly milliseconds: number;
  /** What it came to, in words, such as `connect: no_connection`. */
  readonly text: string;
}

export interface DomainStatus {
  readonly mode: ModeView;
  readonly probes: readonly ProbeRecord[];
  /** The failback run that is under way. */
  readonly run: FailbackRun | null;
  readonly deferred: number;
}

export interface FailbackRun {
  readonly startedAt: number;
  readonly delivered: number;
  readonly refused: number;
  readonly deferred: number;
  readonly connections: number;
}

/** What the origin said to a final dot in the end, after the sender had been answered. */
export interface LateFinal {
  /** Flight keys (failback/ports.ts), one for each recipient of the transaction. */
  readonly keys: readonly string[];
  /** When the message was received, unix milliseconds. */
  readonly at: number;
  readonly outcome: Outcome;
}

/** The RPC surface of the domain's object. */
export interface DomainRpc {
  /** `null`: the object knows no such domain (ask D1). @param local the local part as received */
  plan(local: string): Promise<Plan | null>;
  report(reports: readonly Report[]): Promise<void>;
  /** A person's choice of mode; `auto` releases it. Resolves after the change is stored and D1 was told (or the telling is scheduled). */
  choose(choice: "normal" | "emergency" | "auto", actor: string): Promise<ModeView>;
  /** Takes the directory's facts and all addresses anew from D1; called after each change of either. */
  reload(name: string): Promise<void>;
  status(): Promise<DomainStatus | null>;
  events(before: number | null, limit: number): Promise<LoggedEvent[]>;
  seen(limit: number): Promise<{ local: string; firstAt: number; lastAt: number; messages: number }[]>;
  /**
   * A person acts on messages that wait: each is withdrawn from redelivery unless it is being sent right now.
   * @param keys flight keys (failback/flight.ts). @returns the keys that are in flight: answer 409, nothing was withdrawn
   */
  withdraw(keys: readonly string[]): Promise<string[]>;
  /**
   * The final dot of a message went out and its reply is awaited beyond the sender's patience. To be called before its rows
   * are in any inbox: redelivery leaves it alone for so many milliseconds, unless `settleFinal` comes before.
   * @returns false where the object knows no such domain: nothing is held
   */
  hold(keys: readonly string[], milliseconds: number): Promise<boolean>;
  /** The reply came, or will not come. Delivered leaves the inbox, refused is marked, all else waits. Idempotent. */
  settleFinal(final: LateFinal): Promise<void>;
  /**
   * The person's action is stored (or failed): the marks of `withdraw` go.
   * @param taken what became of each copy where it is stored
   */
  settle(keys: readonly string[], taken?: readonly Taken[]): Promise<void>;
  /** What is known of flights, and of single mailboxes' copies (failback/fates.ts), by key. @param flights at most 1,000 */
  fates(flights: readonly string[]): Promise<Readonly<Record<string, Fate>>>;
  /** From cron: look whether something is due; re-arms the alarm if it was lost. */
  wake(name: string): Promise<void>;
  /** For GET /api/health. */
  ping(): Promise<string>;
}
