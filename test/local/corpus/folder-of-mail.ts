/** A folder of messages that are hard to carry, each for a reason of its own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export const LARGEST = 25 * 1024 * 1024;

const latin1 = (text: string) => Buffer.from(text, "latin1");

export const HARD: Readonly<Record<string, Buffer>> = {
  "bare-cr.eml": latin1("Subject: bare CR\r\n\r\none\rtwo\r\n"),
  "base64-cut-off.eml": latin1(
    'Subject: cut\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: application/pdf; name="cut.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQKJeL',
  ),
  "dots.eml": latin1("Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n"),
  "eight-bit.eml": latin1("Subject: eight bits\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n"),
  "empty.eml": latin1(""),
  "hops.eml": latin1(`${"Received: from a by b; now\r\n".repeat(101)}Subject: a loop\r\n\r\nx\r\n`),
  "line-feeds.eml": latin1(
    "From: Ann <ann@sender.example>\nTo: bob@example.org\nCc: Carol <carol@example.org>\nDate: Tue, 24 Nov 2026 10:00:00 +0100\nSubject: line feeds\n\nunix\n",
  ),
  "long-line.eml": latin1(`Subject: long\r\n\r\n${"x".repeat(1024 * 1024)}\r\n`),
  "nested.eml": latin1(
    'Subject: outer\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/mixed; boundary="c"\r\n\r\n--c\r\n\r\ninner text\r\n--c\r\nContent-Type: image/png; name="inner.png"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--c--\r\n--b--\r\n',
  ),
  "no-header.eml": latin1("\r\nonly a body\r\n"),
  "no-last-line-end.eml": latin1("Subject: no end\r\n\r\nend"),
  "nul.eml": latin1("Subject: NUL\r\n\r\na\0b\r\n"),
  "sub/folder.eml": latin1("Message-ID: <same@sender.example>\r\nSubject: the same\r\n\r\ntwice\r\n"),
  "sub/folder/again.eml": latin1("Message-ID: <same@sender.example>\r\nSubject: the same\r\n\r\ntwice\r\n"),
  "unknown-charset.eml": latin1(
    "Subject: =?klingon?q?nuqneH?=\r\nContent-Type: text/plain; charset=klingon\r\n\r\nnuqneH\r\n",
  ),
  "z-largest.eml": large(LARGEST),
  "z-too-large.eml": large(LARGEST + 1),
};

/** A message of one attachment. @param size octets in all */
function large(size: number): Buffer {
  const head = latin1(
    'Subject: large\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee the attachment.\r\n--b\r\nContent-Type: application/zip; name="large.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n',
  );
  const end = latin1("\r\n--b--\r\n");
  const line = `${"QUJD".repeat(19)}\r\n`;
  const body = Buffer.alloc(size - head.length - end.length, line, "latin1");
  return Buffer.concat([head, body, end]);
}

export function writeMail(folder: string, files: Readonly<Record<string, Buffer>>): void {
  for (const [name, octets] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), octets);
  }
  writeFileSync(join(folder, "what-another-found.json"), "{}");
}
