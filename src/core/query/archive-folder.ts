/** The archive as a folder: what is in it is read, and nothing else is ever noted of it there. */
import { ALL, NONE, type Query } from "./query.ts";
import { simplify } from "./simplify.ts";

/** RFC 7162 §3.1.1: above zero, and nothing changes it. */
export const ARCHIVE_MODSEQ = 1;

/**
 * A query as it is meant in the archive folder, where a message has the flags that the folder shows, whatever it has in others.
 * @returns it in its simplest form
 */
export const inArchiveFolder = (query: Query): Query => simplify(settled(query));

function settled(query: Query): Query {
  switch (query.kind) {
    case "and":
    case "or":
      return { ...query, of: query.of.map(settled) };
    case "not":
      return { ...query, of: settled(query.of) };
    case "flag":
      return query.flag === "seen" ? ALL : NONE;
    case "keyword":
      return NONE;
    case "modseq":
      return query.atLeast <= ARCHIVE_MODSEQ ? ALL : NONE;
    default:
      return query;
  }
}
