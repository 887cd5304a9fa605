/**
 * What is searched for, as a tree: the search box, the API, IMAP's SEARCH (RFC 9051 §6.4.4) and JMAP's filters (RFC 8621 §4.4.1)
 * make one, and whoever finds messages reads it. Immutable; `prepare` makes it fit to be run.
 *
 * Of a message that lies in several folders, a folder or flag means: in one of its places. In a search through one folder, the
 * place there. What is in no folder (it is in the archive alone) counts as seen. What is marked `deleted` counts as gone, but
 * for that flag itself.
 */
export type Query =
  | { readonly kind: "all" }
  | { readonly kind: "none" }
  | { readonly kind: "and"; readonly of: readonly Query[] }
  | { readonly kind: "or"; readonly of: readonly Query[] }
  | { readonly kind: "not"; readonly of: Query }
  | Condition;

export type Condition =
  | TextCondition
  | HeaderCondition
  /** Something came with it that does not belong to its text, as a picture within it does. */
  | { readonly kind: "attachment" }
  /** When it was received, unix milliseconds: from `since` on, and before `before`. */
  | ({ readonly kind: "arrived" } & Span)
  /** The header's Date; of a message without one, when it was received (RFC 5256 §3). */
  | ({ readonly kind: "sent" } & Span)
  /** Octets: at least, and fewer than. */
  | { readonly kind: "size"; readonly atLeast?: number; readonly below?: number }
  | FlagCondition
  | KeywordCondition
  | FolderCondition
  /** The archive has it: it came or went. What its owner put into a folder (APPEND, a draft) did neither. */
  | { readonly kind: "archived" }
  /** Received or sent; what its owner put into a folder is neither. */
  | { readonly kind: "direction"; readonly direction: "in" | "out" }
  | { readonly kind: "thread"; readonly thread: number }
  /** Some message of its conversation is so, or every one (RFC 8621 §4.4.1). */
  | { readonly kind: "conversation"; readonly of: "some" | "every"; readonly is: FlagCondition | KeywordCondition }
  /** Without angle brackets. */
  | { readonly kind: "messageId"; readonly id: string }
  /** UIDs, both ends included; outside of a folder those of the archive folder. */
  | { readonly kind: "uids"; readonly ranges: readonly (readonly [number, number])[] }
  /** MODSEQ at least (RFC 7162 §3.1.5). */
  | { readonly kind: "modseq"; readonly atLeast: number };

export interface FlagCondition {
  readonly kind: "flag";
  readonly flag: Flag;
}

/** In any case (RFC 9051 §2.3.2), such as `$Forwarded`. */
export interface KeywordCondition {
  readonly kind: "keyword";
  readonly keyword: string;
}

export type Flag = "seen" | "answered" | "flagged" | "draft" | "deleted";

export interface Span {
  readonly since?: number;
  readonly before?: number;
}

/** `envelope`: whom it came for, which need not be in the header. `attachment`: the names of what came with it. */
export type TextField = "from" | "to" | "cc" | "bcc" | "envelope" | "subject" | "body" | "attachment";

/** Words next to each other, in one of the fields, without regard to case, accents and what stands between words. */
export interface TextCondition {
  readonly kind: "text";
  readonly fields: readonly TextField[];
  readonly text: string;
  /** Of the last word only the beginning may be there. */
  readonly open: boolean;
}

export interface HeaderCondition {
  readonly kind: "header";
  /** In any case. */
  readonly name: string;
  /** Null, or empty: that the field is there. */
  readonly text: string | null;
  readonly open: boolean;
}

/** Numbers of folders: in one of them, or in one that is none of them; or by role or name, whoever's it is. */
export type FolderCondition =
  | { readonly kind: "folder"; readonly among: readonly number[] }
  | { readonly kind: "folder"; readonly except: readonly number[] }
  | { readonly kind: "folder"; readonly called: string };

export const ALL: Query = { kind: "all" };
export const NONE: Query = { kind: "none" };

export const and = (...of: readonly Query[]): Query => ({ kind: "and", of });
export const or = (...of: readonly Query[]): Query => ({ kind: "or", of });
export const not = (of: Query): Query => ({ kind: "not", of });

/** Where somebody looks who names no field. */
export const ANYWHERE: readonly TextField[] = ["subject", "from", "to", "cc", "bcc", "envelope", "attachment", "body"];
/** Whom it is for, named or not. */
export const ADDRESSEES: readonly TextField[] = ["to", "cc", "bcc", "envelope"];

export const phrase = (fields: readonly TextField[], text: string, open = false): TextCondition => ({
  kind: "text",
  fields,
  text,
  open,
});
