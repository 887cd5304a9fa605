/** Messages made from a seed: each is unlike every other, and comes with what mail comes with. */
import { createHash } from "node:crypto";
import type { Job } from "../demo/sender.ts";

/** Numbers from 0 to 1 that the seed fixes (mulberry32). */
export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function between(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

export function pick<T>(random: Random, list: readonly [T, ...T[]]): T {
  return list[Math.floor(random() * list.length)] ?? list[0];
}

/** A large one is beyond what the Worker holds whole, so that it streams to R2 and to the origin. */
const LARGE = { oneIn: 40, repeats: 400 };
const MOST_LINES = 60;
const PEOPLE = ["alice", "Bob", "carol", "bob+lists"] as const;

export function makeJob(random: Random, number: number, domain: string): Job {
  const to = `${pick(random, PEOPLE)}@${domain}`;
  const from = number % 23 === 5 ? "" : `sender${number}@example.net`;
  const lines = [
    `From: Sender ${number} <sender${number}@example.net>`,
    `To: <${to}>`,
    `Subject: message ${number}`,
    `Message-ID: <${number}.${between(random, 0, 1e9)}@example.net>`,
    "Date: Tue, 24 Nov 2026 10:00:00 +0000",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
  ];
  const large = number % LARGE.oneIn === LARGE.oneIn - 1;
  const count = large ? MOST_LINES : between(random, 1, MOST_LINES);
  const body: string[] = [];
  for (let line = 0; line < count; line++) {
    // Dots to be stuffed, octets above 127, and lines that are like no other's.
    const begin = line % 7 === 3 ? "." : "";
    body.push(
      `${begin}${line} Grüße ${between(random, 0, 1e9)
        .toString(36)
        .padStart(50, line % 2 ? "x" : "ß")}`,
    );
  }
  const text = `${body.join("\r\n")}\r\n`.repeat(large ? LARGE.repeats : 1);
  const octets = Buffer.from(`${lines.join("\r\n")}\r\n${text}`, "utf8");
  return { name: `message ${number}`, octets, sha256: createHash("sha256").update(octets).digest("hex"), from, to };
}
