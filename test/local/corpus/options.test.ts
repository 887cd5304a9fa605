import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { onTheWire, withCrlf } from "../../../src/local/corpus/files.ts";
import { parseOptions } from "../../../src/local/corpus/options.ts";

const FOLDER = tmpdir();

describe("the command line of a corpus run", () => {
  it("takes a folder alone: every file but .json, by the hand-over", () => {
    expect(parseOptions([FOLDER])).toEqual({
      ok: true,
      options: { folder: FOLDER, by: "hand-over", crlf: false, from: 1, limit: null, match: null },
    });
  });

  it("takes each option", () => {
    expect(parseOptions(["--mx", "--crlf", "--match", "*.eml", "--from", "7", "--limit", "3", FOLDER])).toEqual({
      ok: true,
      options: { folder: FOLDER, by: "mx", crlf: true, from: 7, limit: 3, match: "*.eml" },
    });
  });

  it.each([
    [[], "Name one folder."],
    [[FOLDER, FOLDER], "Name one folder."],
    [["/there/is/no/such/folder"], "/there/is/no/such/folder is no folder."],
    [[FOLDER, "--from", "0"], "--from must be a whole number from 1."],
    [[FOLDER, "--limit", "x"], "--limit must be a whole number from 1."],
  ])("%j is answered: %s", (args, problem) => {
    expect(parseOptions(args)).toEqual({ ok: false, problem });
  });

  it("an option that there is not is named", () => {
    expect(parseOptions([FOLDER, "--fast"])).toMatchObject({ ok: false, problem: expect.stringContaining("--fast") });
  });
});

describe("line ends of a file", () => {
  it("LF becomes CRLF, and a file with any CR stays as it is", () => {
    expect(withCrlf(Buffer.from("a\n\nb")).toString()).toBe("a\r\n\r\nb");
    expect(withCrlf(Buffer.from("a\r\nb\n")).toString()).toBe("a\r\nb\n");
  });

  it("on the wire each CR, LF and CRLF is one CRLF, and the last line has its end", () => {
    expect(onTheWire(Buffer.from("a\rb\nc\r\n\r\rd")).toString()).toBe("a\r\nb\r\nc\r\n\r\n\r\nd\r\n");
    expect(onTheWire(Buffer.from("")).length).toBe(0);
  });
});
