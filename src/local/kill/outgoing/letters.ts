/** What people write in the rehearsal: each letter to several people at several places, some of whom are not there, or not now. */
import { createHash } from "node:crypto";
import { between, pick, type Random } from "../mail.ts";

/** What its server says of a recipient: takes mail for it; at the second time of asking; never. */
export type Temper = "ready" | "later" | "nobody";

export interface Letter {
  readonly number: number;
  /** The domain that sends it. */
  readonly domain: string;
  readonly via: "api" | "submission";
  readonly from: string;
  readonly subject: string;
  readonly recipients: readonly string[];
  readonly octets: Buffer;
  readonly sha256: string;
  /** Every server refuses it at the final dot. */
  readonly unwanted: boolean;
  /** Where its first try has no answer, nobody tries it again: it may be sent or not, but never twice. */
  readonly impatient: boolean;
}

export const PLACES = ["alpha.example", "beta.example", "gamma.example"] as const;
export const UNWANTED = "X-Unwanted: yes";

export const temperOf = (recipient: string): Temper => {
  const [temper] = recipient.split(".");
  return temper === "later" || temper === "nobody" ? temper : "ready";
};

export function makeLetter(random: Random, number: number, domain: string): Letter {
  const via = number % 2 === 0 ? "api" : "submission";
  const from = `${via === "api" ? "ann" : "bob"}@${domain}`;
  const unwanted = number % 20 === 11;
  const recipients = Array.from({ length: pick(random, [1, 1, 2, 2, 3]) }, (_, at) => {
    const temper: Temper = pick(random, ["ready", "ready", "ready", "ready", "ready", "later", "nobody"]);
    return `${temper}.${number}.${at}@${pick(random, PLACES)}`;
  });
  const subject = `letter ${number}`;
  const lines = [
    `From: <${from}>`,
    `To: ${recipients.map((to) => `<${to}>`).join(",\r\n ")}`,
    `Subject: ${subject}`,
    `Message-ID: <letter.${number}.${between(random, 0, 1e9)}@${domain}>`,
    "Date: Tue, 24 Nov 2026 10:00:00 +0000",
    ...(unwanted ? [UNWANTED] : []),
    "",
    ...Array.from(
      { length: between(random, 1, 40) },
      (_, line) => `${line % 7 === 3 ? "." : ""}${line} Grüße ${number}`,
    ),
    "",
  ];
  const octets = Buffer.from(lines.join("\r\n"), "utf8");
  const sha256 = createHash("sha256").update(octets).digest("hex");
  const impatient = number % 3 === 0;
  return { number, domain, via, from, subject, recipients, octets, sha256, unwanted, impatient };
}
