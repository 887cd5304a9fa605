/** The raw store: the received octets and nothing else. Sole owner of R2's keys. */
import { ulid } from "ulidx";
import type { Receipt } from "./meta.ts";

/** What keys under the archive's rule begin with, and those under none. */
export const ARCHIVE = "archive/";
export const KEPT = "mail/";

/** Lies beside the octets: with it the index can be made anew. */
export interface RawMetadata {
  readonly receipt: Receipt;
  readonly direction: "in" | "out";
  readonly domain: string;
  /** Envelope sender, empty for `<>`. */
  readonly from: string;
  /** Envelope recipients as received. */
  readonly recipients: readonly string[];
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
  /**
   * Where the octets were to go when they were stored: to the portal, or to the origin, whose answer was not known yet.
   * Absent where nothing of the kind was known.
   */
  readonly goesTo?: "portal" | "origin";
  /** Nobody's archive has it, such as a vacation notice, or a report that an origin sends through us: a reindex leaves it alone. */
  readonly archived?: false;
  /** Of a copy under `mail/`: whose it still was to be given back (see `waitsFor`) when it was copied. */
  readonly waiting?: readonly string[];
}

/** One recipient's copy for one account, as `RawMetadata.waiting` lists it. @param recipient its place in `recipients` */
export const waitsFor = (recipient: number, account: number): string => `${recipient}:${account}`;

export interface RawWriter {
  /** Resolves when the chunk was taken. Rejects when the store failed. */
  write(chunk: Uint8Array): Promise<void>;
  /** Resolves when the object is there. */
  finish(): Promise<void>;
  /** No object comes to be. */
  abort(): void;
}

/** `archive/YYYY-MM-DD/HH/ULID`, UTC. @param now unix milliseconds */
export function newKey(now: number): { readonly key: string; readonly id: string } {
  const id = ulid(now);
  return { key: `${hourPrefix(now)}${id}`, id };
}

/** What the keys of that hour begin with. @param at unix milliseconds */
export function hourPrefix(at: number): string {
  const time = new Date(at).toISOString();
  return `archive/${time.slice(0, 10)}/${time.slice(11, 13)}/`;
}

/** What the copies of one message have in common, wherever they lie: the receipt's ULID. */
export function objectName(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

/** Where what the portal still references goes before the archive's rule takes it: the same each time for the same object. */
export function keepKey(key: string): string {
  return `${KEPT}${objectName(key)}`;
}

export async function putRaw(bucket: R2Bucket, key: string, octets: Uint8Array, metadata: RawMetadata): Promise<void> {
  await bucket.put(key, octets, { customMetadata: flatten(metadata) });
}

/** @param size octets in all; with more or fewer the object does not come to be */
export function openRawWriter(bucket: R2Bucket, key: string, size: number, metadata: RawMetadata): RawWriter {
  const { readable, writable } = new FixedLengthStream(size);
  const writer = writable.getWriter();
  const put = bucket.put(key, readable, { customMetadata: flatten(metadata) });
  // Whoever writes or finishes hears of a failure; until then it must not count as unhandled.
  const failure = put.then(
    () => new Promise<never>(() => {}),
    (error: unknown) => Promise.reject(error),
  );
  failure.catch(() => "heard by write or finish");
  return {
    async write(chunk) {
      await Promise.race([writer.write(chunk), failure]);
    },
    async finish() {
      await Promise.race([writer.close(), failure]);
      await put;
    },
    abort() {
      writer.abort(new Error("the message was given up")).catch(() => "the stream had ended before");
    },
  };
}

/** What may change of the facts beside the octets. */
export type RawChange = Pick<RawMetadata, "goesTo" | "waiting">;

/**
 * The same octets with other facts beside them: R2 changes metadata only with a put. A failure in between leaves what was there.
 * @param change asked with the envelope; where the object has none, all stays as it is
 * @returns false where there is no such object
 */
export async function copyRaw(
  bucket: R2Bucket,
  from: string,
  to: string,
  change: (metadata: RawMetadata) => RawChange,
): Promise<boolean> {
  const object = await bucket.get(from);
  if (!object) return false;
  const known = knownMetadata(object);
  const customMetadata = { ...object.customMetadata, ...(known ? flattenChange(change(known)) : {}) };
  const { readable, writable } = new FixedLengthStream(object.size);
  const put = bucket.put(to, readable, { customMetadata });
  await Promise.all([object.body.pipeTo(writable), put]);
  return true;
}

/** @returns null where there is no such object, or it is none of the mail's way */
export async function readMetadata(bucket: R2Bucket, key: string): Promise<RawMetadata | null> {
  const object = await bucket.head(key);
  return object && knownMetadata(object);
}

function knownMetadata(object: Pick<R2Object, "key" | "customMetadata">): RawMetadata | null {
  return object.customMetadata?.recipients === undefined ? null : metadataOf(object);
}

function flattenChange({ goesTo, waiting }: RawChange): Record<string, string> {
  return {
    ...(goesTo === undefined ? {} : { goesTo }),
    ...(waiting === undefined ? {} : { waiting: waiting.join(" ") }),
  };
}

/** Octets of a message; at least one. */
export interface OctetRange {
  readonly offset: number;
  readonly length: number;
}

export function getRaw(bucket: R2Bucket, key: string, range?: OctetRange): Promise<R2ObjectBody | null> {
  return range ? bucket.get(key, { range }) : bucket.get(key);
}

export function headRaw(bucket: R2Bucket, key: string): Promise<R2Object | null> {
  return bucket.head(key);
}

/** @param keys at most 1,000, R2's own limit */
export async function deleteRaw(bucket: R2Bucket, ...keys: string[]): Promise<void> {
  await bucket.delete(keys);
}

/** R2 takes strings; field names are for people who look at an object. */
function flatten(metadata: RawMetadata): Record<string, string> {
  const { receipt, direction, domain, from, recipients, body, smtputf8 } = metadata;
  return {
    id: receipt.id,
    at: String(receipt.at),
    host: receipt.host,
    ip: receipt.client.ip,
    helo: ascii(receipt.client.helo.slice(0, 255)),
    protocol: receipt.client.protocol,
    direction,
    domain,
    from: ascii(from),
    recipients: `[${recipients.map(escaped).join(",")}]`,
    body,
    smtputf8: String(smtputf8),
    ...(metadata.archived === false ? { archived: "no" } : {}),
    ...flattenChange(metadata),
  };
}

/** What a recipient takes up of MAX_ENVELOPE_METADATA_BYTES, in octets. */
export function recipientOctets(to: string): number {
  return escaped(to).length + 1;
}

const ESCAPED = "u:";

/** R2's metadata is ASCII: what is not (RFC 6531) is written as JSON behind a mark that no address begins with. */
function ascii(text: string): string {
  return /^[ -~]*$/.test(text) && !text.startsWith(ESCAPED) ? text : `${ESCAPED}${escaped(text)}`;
}

function fromAscii(text: string | undefined): string {
  return text?.startsWith(ESCAPED) ? (JSON.parse(text.slice(ESCAPED.length)) as string) : (text ?? "");
}

/** JSON in ASCII: with one letter beyond Latin-1 R2 counts two octets for each of all the others too. */
function escaped(address: string): string {
  return JSON.stringify(address).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What `flatten` made. @throws where the object is none of ours */
export function metadataOf(object: Pick<R2Object, "key" | "customMetadata">): RawMetadata {
  const m = object.customMetadata ?? {};
  if (!m.id || !m.at || !m.recipients) throw new Error(`the object ${object.key} has no envelope`);
  return {
    receipt: {
      id: m.id,
      at: Number(m.at),
      host: m.host ?? "",
      client: { ip: m.ip ?? "", helo: fromAscii(m.helo), protocol: m.protocol ?? "ESMTP" },
    },
    direction: m.direction === "out" ? "out" : "in",
    domain: m.domain ?? "",
    from: fromAscii(m.from),
    recipients: JSON.parse(m.recipients) as string[],
    body: m.body === "7BIT" ? "7BIT" : "8BITMIME",
    smtputf8: m.smtputf8 === "true",
    ...(m.goesTo === "portal" || m.goesTo === "origin" ? { goesTo: m.goesTo } : {}),
    ...(m.archived === "no" ? { archived: false } : {}),
    ...(m.waiting === undefined ? {} : { waiting: m.waiting.split(" ").filter((one) => one !== "") }),
  };
}
