/**
 * A large message without its bulk, for parsing: the structure and the names of all attachments stay, what is long within a
 * part goes. 25 MiB so come down to 4 MiB at the most, whatever is in them.
 */

const DASH = 0x2d;
const LF = 0x0a;
const MAX_KEPT = 4 * 1024 * 1024;

/**
 * Octets that are kept between two lines that begin with a dash, as the boundaries of parts do (RFC 2046 §5.1.1): fewer the
 * more there is already, so that many attachments all keep their headers.
 */
function maxSection(total: number): number {
  if (total < MAX_KEPT / 2) return 256 * 1024;
  return total < (MAX_KEPT * 3) / 4 ? 16 * 1024 : 1024;
}

/** @param whole keep everything: the message is small */
export async function reduce(chunks: AsyncIterable<Uint8Array>, whole: boolean): Promise<Uint8Array<ArrayBuffer>> {
  const kept: Uint8Array[] = [];
  let total = 0;
  let section = 0;
  let atLineStart = true;
  let endsInLine = false;
  const push = (piece: Uint8Array) => {
    kept.push(piece);
    total += piece.length;
  };
  const keep = (piece: Uint8Array) => {
    section += piece.length;
    if (section > maxSection(total) || total + piece.length >= MAX_KEPT) return;
    // The line before lost its end: what follows must not become a part of it, least of all a boundary.
    if (atLineStart && endsInLine) push(Uint8Array.of(LF));
    push(piece.slice());
    endsInLine = piece.at(-1) !== LF;
  };
  for await (const chunk of chunks) {
    if (whole) {
      push(chunk.slice());
      continue;
    }
    let from = 0;
    while (from < chunk.length) {
      const lf = chunk.indexOf(LF, from);
      const to = lf === -1 ? chunk.length : lf + 1;
      if (atLineStart && chunk[from] === DASH) section = 0;
      keep(chunk.subarray(from, to));
      atLineStart = lf !== -1;
      from = to;
    }
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const piece of kept) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
