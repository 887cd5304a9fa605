import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CorpusLine } from "../../../src/local/corpus/line.ts";
import { CorpusRun } from "../../../src/local/corpus/run.ts";
import { running } from "../../../src/local/orphan.ts";
import { HARD, writeMail } from "./folder-of-mail.ts";

const PROGRAM = fileURLToPath(new URL("../../../src/local/corpus/corpus.ts", import.meta.url));
/** The service is bundled and started, and 25 MiB go through it. */
const RUN = 180_000;

interface Ran {
  readonly lines: ReadonlyMap<string, CorpusLine>;
  readonly summary: string;
  readonly code: number | null;
}

/** @param seen is called with the process at each line */
async function corpus(args: readonly string[], seen: (child: ChildProcess) => void = () => undefined): Promise<Ran> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = new Map<string, CorpusLine>();
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    said += text.toString();
  });
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as CorpusLine;
    lines.set(line.file, line);
    seen(child);
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", (status) => resolve(status)));
  return { lines, summary: said.trimEnd().split("\n").at(-1) ?? "", code };
}

const folder = mkdtempSync(join(tmpdir(), "holdfast-test-"));
beforeAll(() => writeMail(folder, HARD));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("every file of a folder goes through the whole service", () => {
  let ran: Ran;
  const line = (file: string) => ran.lines.get(file);
  beforeAll(async () => {
    ran = await corpus([folder]);
  }, RUN);

  it("a line each, sub-folders too, and what is no message is not sent", () => {
    expect([...ran.lines.keys()].sort()).toEqual(Object.keys(HARD).sort());
    expect([...ran.lines.values()].filter(({ error }) => error !== null)).toEqual([]);
  });

  it("what is accepted comes back from the archive octet for octet, and its page is answered 200", () => {
    const accepted = [...ran.lines.values()].filter((one) => one.accepted);
    expect(accepted.length).toBe(Object.keys(HARD).length - 2);
    for (const one of accepted) expect(one).toMatchObject({ octetsEqual: true, rendered: true });
  });

  it("what is refused has its reason: a loop, and more than 25 MiB", () => {
    expect(line("hops.eml")).toMatchObject({ accepted: false, reply: expect.stringMatching(/^554 5\.4\.6 /) });
    expect(line("z-too-large.eml")).toMatchObject({ accepted: false, reply: expect.stringMatching(/^552 5\.3\.4 /) });
  });

  it.each(["nul.eml", "eight-bit.eml", "dots.eml", "long-line.eml", "nested.eml", "no-header.eml", "z-largest.eml"])(
    "%s is the same at the origin, below our two fields",
    (file) => {
      expect(line(file)?.originOctets).toBe("equal");
    },
  );

  it.each(["bare-cr.eml", "line-feeds.eml", "no-last-line-end.eml"])("%s has CRLF at the origin", (file) => {
    expect(line(file)?.originOctets).toBe("line ends made CRLF");
  });

  it("the same message twice is shown twice: each file has a sender of its own", () => {
    expect(line("sub/folder.eml")).toMatchObject({ accepted: true, octetsEqual: true });
    expect(line("sub/folder/again.eml")).toMatchObject({ accepted: true, octetsEqual: true });
  });

  it("header, text and attachments are what the service makes of them", () => {
    expect(line("line-feeds.eml")).toMatchObject({
      subject: "line feeds",
      from: [{ name: "Ann", address: "ann@sender.example" }],
      to: [{ name: "", address: "bob@example.org" }],
      cc: [{ name: "Carol", address: "carol@example.org" }],
      date: "2026-11-24T09:00:00.000Z",
      text: "unix\n",
    });
    expect(line("eight-bit.eml")?.text).toBe("Gr\u00fc\u00dfe\n");
    expect(line("nested.eml")?.text).toContain("inner text");
    expect(line("nested.eml")?.attachments).toEqual([
      { name: "inner.png", type: "image/png", octets: 3, sha256: sha256(Uint8Array.of(0, 1, 2)) },
    ]);
    expect(line("base64-cut-off.eml")?.attachments).toMatchObject([{ name: "cut.pdf", type: "application/pdf" }]);
    expect(line("unknown-charset.eml")?.text?.trim()).toBe("nuqneH");
  });

  it("the last line sums up, and the exit code says that nothing failed", () => {
    expect(ran.summary).toContain("failures 0");
    expect(ran.summary).toContain("refused 2 (");
    expect(ran.code).toBe(0);
  });

  // Read from /proc: elsewhere the line's `peakMemory` is null.
  it.runIf(process.platform === "linux")("the peak of memory is that of the service's processes", () => {
    const peak = line("z-largest.eml")?.peakMemory;
    expect(peak?.workerd).toBeGreaterThan(10 * 1024 * 1024);
    expect(peak?.gateway).toBeGreaterThan(10 * 1024 * 1024);
  });
});

describe("by SMTP through the MX port", () => {
  let ran: Ran;
  beforeAll(async () => {
    ran = await corpus([folder, "--mx", "--match", "{bare-cr,dots,line-feeds,nul,no-last-line-end}.eml"]);
  }, RUN);

  it("a bare CR or LF is refused by name", () => {
    for (const file of ["bare-cr.eml", "line-feeds.eml"])
      expect(ran.lines.get(file)).toMatchObject({ accepted: false, reply: expect.stringMatching(/^550 5\.5\.2 /) });
  });

  it("what has CRLF is the same in the archive and at the origin", () => {
    for (const file of ["dots.eml", "nul.eml"])
      expect(ran.lines.get(file)).toMatchObject({ accepted: true, octetsEqual: true, originOctets: "equal" });
  });

  it("a last line without its end gets one, for SMTP has no other", () => {
    expect(ran.lines.get("no-last-line-end.eml")).toMatchObject({ accepted: true, octetsEqual: true });
    expect(ran.code).toBe(0);
  });
});

it(
  "line ends become CRLF before the MX port sees them, where that is asked for",
  async () => {
    const { lines } = await corpus([folder, "--mx", "--crlf", "--match", "line-feeds.eml"]);
    expect(lines.get("line-feeds.eml")).toMatchObject({ accepted: true, octetsEqual: true, originOctets: "equal" });
  },
  RUN,
);

it(
  "is interrupted between two messages, says where it stopped, and is taken up again there",
  async () => {
    const args = [folder, "--match", "*.eml"];
    const first = await corpus(args, (child) => child.kill("SIGINT"));
    expect(first.code).toBe(130);
    const next = /go on with --from (\d+)$/.exec(first.summary)?.[1] ?? "none";
    expect(first.lines.size).toBe(Number(next) - 1);
    const second = await corpus([...args, "--from", next, "--limit", "2"]);
    expect([...second.lines.values()].map(({ number }) => number)).toEqual([Number(next), Number(next) + 1]);
  },
  2 * RUN,
);

it(
  "goes on when workerd has died under a message, and says so on its line",
  async () => {
    const state = mkdtempSync(join(tmpdir(), "holdfast-test-"));
    const run = await CorpusRun.start(state, {
      folder,
      by: "hand-over",
      crlf: false,
      from: 1,
      limit: null,
      match: null,
    });
    try {
      process.kill(running(state, "workerd") ?? Number.NaN, "SIGKILL");
      const { line } = await run.message("nul.eml", 1);
      expect(line).toMatchObject({ accepted: null, error: expect.stringContaining("workerd died") });
      expect((await run.message("dots.eml", 2)).line).toMatchObject({ accepted: true, octetsEqual: true, error: null });
    } finally {
      await run.stop();
      rmSync(state, { recursive: true, force: true });
    }
  },
  RUN,
);

function sha256(octets: Uint8Array): string {
  return createHash("sha256").update(octets).digest("hex");
}
