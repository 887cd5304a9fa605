/** What a search may ask for, and look at; each with its reason, as in core/limits.ts. */

/** Levels of a search in its simplest form: FTS5's parser and SQLite's expressions (100 levels) have room for several times as many. */
export const MAX_QUERY_DEPTH = 12;
/** Levels of a search as it comes: clients nest each OR into the one before, and simplifying takes them apart again. */
export const MAX_QUERY_NESTING = 200;
/** Words and conditions of a search: each may need one of D1's 100 parameters. */
export const MAX_QUERY_CONDITIONS = 80;
/** Characters of one word or phrase: two lines of mail (RFC 5322 §2.1.1). */
export const MAX_QUERY_TEXT = 2_000;
/** Ranges of UIDs in a search: an IMAP command line of 64 kB has no more. */
export const MAX_QUERY_RANGES = 8_000;
/** Rows whose columns one page of a search looks at, a shard; what is found later is on the next page. D1 reads them in a tenth of a second. */
export const SEARCH_LOOKED_AT = 20_000;
/** Hits of a page whose octets are read to show where the words stand, octets of each, and time for all of them. */
export const SNIPPET_READS = 20;
export const SNIPPET_OCTETS = 256 * 1024;
export const SNIPPET_TIME = 1_500;
/** Hits that one search for all of them gives: some 4 MB of rows, and a mailbox with more is asked more exactly. */
export const MAX_HITS = 50_000;
