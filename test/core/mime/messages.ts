/** Messages for tests of the structure: any octets that look like mail, and pieces of them. */
import fc from "fast-check";

/** @param text one character an octet */
export function octets(text: string): Uint8Array {
  const all = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) all[at] = text.charCodeAt(at);
  return all;
}

export const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");

/** The pieces that a message falls into at these places. */
export function cutAt(all: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts)].filter((at) => at > 0 && at < all.length).sort((a, b) => a - b);
  return [0, ...places].map((from, index) => all.subarray(from, places[index] ?? all.length));
}

const LINES = [
  "",
  "Subject: x",
  "From: Ann <ann@example.org>, bob@example.org",
  "To: =?utf-8?Q?a?= <a@example.org>;",
  'Content-Type: multipart/mixed; boundary="a"',
  'Content-Type: multipart/alternative; boundary="aa"',
  "Content-Type: multipart/digest; boundary=a",
  "Content-Type: multipart/mixed",
  "Content-Type: message/rfc822",
  "Content-Type: message/rfc822; name*0*=utf-8''%c3%",
  "Content-Type: text/html; charset=iso-8859-1; format=flowed",
  "Content-Type: text",
  "Content-Type: text/plain; name*0=a; name*1=b; name*0=c",
  "Content-Disposition: attachment; filename=\xe9.txt",
  "Content-Disposition: inline",
  "Content-Transfer-Encoding: base64",
  "Content-Transfer-Encoding: quoted-printable",
  "Content-Id: <one@example.org>",
  "  folded",
  "--a",
  "--a--",
  "--aa",
  "--aa--",
  "--a  ",
  "QUJD",
  "=3D=",
  "text \x00 and \xff",
  "-",
  "--",
  `--a${" ".repeat(1_200)}`,
  "y".repeat(1_100),
  "\r",
];

/** Lines of mail in any order, their ends CRLF, LF or none. */
export const anyMessage = fc
  .array(fc.tuple(fc.constantFrom(...LINES), fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "")), { maxLength: 40 })
  .map((lines) => octets(lines.map(([line, end]) => line + end).join("")));
