import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const PROGRAM = fileURLToPath(new URL("../../../src/local/structure/structure.ts", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "holdfast-structure-"));
const beside = mkdtempSync(join(tmpdir(), "holdfast-structure-"));
afterAll(() => {
  for (const one of [folder, beside]) rmSync(one, { recursive: true, force: true });
});

const mail = (...lines: string[]) => lines.map((line) => `${line}\n`).join("");

const PLAIN = mail("From: Ann <ann@example.org>", "Subject: =?utf-8?Q?gr=C3=BCn?=", "", "text");
const MAIL: Readonly<Record<string, string>> = {
  "plain.eml": PLAIN,
  "attached.eml": mail(
    "Subject: two parts",
    "Date: Tue, 24 Nov 2026 10:00:00 +0100",
    "Message-ID: <a@example.org>",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "",
    "caf\u00e9",
    "--b",
    'Content-Type: image/png; name="dot.png"',
    "Content-Transfer-Encoding: base64",
    "",
    "AAEC",
    "--b--",
  ),
  "blanks.eml": mail("Subject: x", "Content-Transfer-Encoding: quoted-printable", "", "blanks  ", "behind"),
  "group.eml": mail("To: undisclosed-recipients:;", "", "text"),
  "report.eml": mail(
    'Content-Type: multipart/report; boundary="b"',
    "",
    "--b",
    "Content-Type: message/delivery-status",
    "",
    "Action: failed",
    "--b--",
  ),
};

/** @returns what it has said, and how it ended */
function structure(...args: readonly string[]): Promise<{ out: string; problem: string; code: number }> {
  return new Promise((resolve) => {
    const node = ["--disable-warning=ExperimentalWarning", PROGRAM, ...args];
    execFile(process.execPath, node, (error, out, problem) => {
      resolve({ out, problem, code: error === null ? 0 : Number(error.code ?? 1) });
    });
  });
}

describe("the comparison with Python's email", () => {
  let out = "";
  beforeAll(async () => {
    for (const [name, text] of Object.entries(MAIL)) writeFileSync(join(folder, name), text);
    const ran = await structure(folder);
    expect(ran).toMatchObject({ problem: "", code: 0 });
    out = ran.out;
  });

  it.each([
    [
      "white space behind a quoted-printable line",
      "text: white space at the end of a quoted-printable line is no part",
    ],
    ["and its octets", "sizes: white space at the end of a quoted-printable line is no part of it"],
    ["a group without members", "to: a group, or no address"],
    ["the fields of a report", "tree: fields of a report are no parts (RFC 3464 §2.1)"],
  ])("tells %s by its kind, once", (_what, kind) => {
    expect(out).toContain(`    1  ${kind}`);
  });

  it("finds nothing else that differs, and counts what agrees", () => {
    expect(out).not.toContain("of no kind");
    expect(out).toMatch(/subject +5 of +5 {2}100\.00 %/);
    expect(out).toMatch(/tree +4 of +5 {2}80\.00 %/);
    expect(out).toMatch(/names +4 of +4 {2}100\.00 %/);
    expect(out).toContain("5 messages, 2 of them without any difference; agreement ");
  });

  it("has every difference as a line of JSON where all are asked for", async () => {
    const { out: lines } = await structure(folder, "--all", "--match", "group.eml");
    expect(JSON.parse(lines.split("\n")[0] ?? "")).toMatchObject({
      file: "group.eml",
      aspect: "to",
      we: JSON.stringify("[]"),
    });
  });
});

describe("the comparison with an answer that lies beside", () => {
  const answer = (subject: string) => ({
    html_body: [0],
    text_body: [0],
    attachments: [],
    parts: [
      {
        headers: [
          { name: "from", value: { Address: { List: [{ name: "Ann", address: "ann@example.org" }] } } },
          { name: "subject", value: { Text: subject } },
        ],
        body: { Text: "text\n" },
        encoding: "None",
        offset_body: 0,
        offset_end: 0,
      },
    ],
  });

  it("agrees where it says the same, and says what differs", async () => {
    writeFileSync(join(beside, "plain.eml"), PLAIN);
    writeFileSync(join(beside, "plain.json"), JSON.stringify(answer("grün")));
    expect((await structure(beside, "--json")).out).toContain("1 messages, 1 of them without any difference");
    writeFileSync(join(beside, "plain.crlf.json"), JSON.stringify(answer("blau")));
    const { out } = await structure(beside, "--json");
    expect(out).toContain("subject: of no kind");
    expect(out).toContain("2 messages, 1 of them without any difference");
  });
});

describe("the comparison with Dovecot's imap", () => {
  const ANN = '((\\"Ann\\" NIL \\"ann\\" \\"example.org\\"))';
  /** A program in its place, that has this to say of one message. */
  function program(name: string, answer: string): string {
    const path = join(beside, name);
    const script = `#!/bin/sh\nread -r select\nread -r fetch\nprintf '%b' "${answer}"\n`;
    writeFileSync(path, script, { mode: 0o755 });
    return path;
  }
  const answer = (subject: string, octets: number) =>
    `* 1 FETCH (ENVELOPE (NIL {${subject.length}}\\r\\n${subject} ${ANN} ${ANN} ${ANN} NIL NIL NIL NIL NIL) BODYSTRUCTURE (\\"TEXT\\" \\"PLAIN\\" (\\"charset\\" \\"us-ascii\\") NIL NIL \\"7BIT\\" ${octets} 1 NIL NIL NIL NIL))\\r\\nb OK done\\r\\n`;
  const against = (path: string) => structure(beside, "--match", "plain.eml", "--dovecot", path, "--all");

  beforeAll(() => writeFileSync(join(beside, "plain.eml"), PLAIN));

  it("agrees where it says the same in other letters", async () => {
    const { out, code } = await against(program("same", answer("=?utf-8?Q?gr=C3=BCn?=", 6)));
    expect(code).toBe(0);
    expect(out).toContain("1 messages, 1 of them without any difference; agreement 11 of 11, 100.00 %");
  });

  it("says what differs", async () => {
    const { out } = await against(program("other", answer("blau", 7)));
    expect(out).toContain('"item":"subject"');
    expect(out).toContain('"item":"bodystructure"');
    expect(out).toContain("agreement 9 of 11, 81.81 %");
  });

  it.each([
    ["ends without an answer", "* BAD no\\r\\n", "has not answered"],
    ["leaves a message out", "b OK done\\r\\n", "says nothing of message 1"],
  ])("tells of a program that %s", async (name, said, problem) => {
    const ran = await against(program(name.replaceAll(" ", "-"), said));
    expect(ran).toMatchObject({ code: 1, problem: expect.stringContaining(problem) });
  });
});

describe("a command line that is none", () => {
  it.each([
    ["no folder", [], "Name one folder."],
    ["a folder that is not there", ["/nowhere/at/all"], "/nowhere/at/all is no folder."],
    ["an option that there is not", ["--what"], "Unknown option '--what'"],
    ["two parsers at once", [tmpdir(), "--json", "--dovecot", "imap"], "Either --json or --dovecot."],
  ])("%s is told", async (_what, args, sentence) => {
    const { problem, code } = await structure(...args);
    expect(code).toBe(2);
    expect(problem).toContain(sentence);
    expect(problem).toContain("npm run structure -- DIR");
  });

  it("a folder without mail in it is told", async () => {
    const { problem, code } = await structure(folder, "--match", "*.nothing");
    expect({ problem, code }).toEqual({ problem: `There is no such file below ${folder}.\n`, code: 1 });
  });
});
