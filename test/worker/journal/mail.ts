/** Messages as a customer's server sends copies of them: plain, and within Exchange's reports. */

export const octets = (text: string) => new Uint8Array(new TextEncoder().encode(text));

export interface Message {
  readonly from: string;
  readonly to?: string;
  readonly id?: string;
  readonly subject: string;
  readonly fields?: readonly string[];
  readonly body?: string;
}

let count = 0;

/** Like no other, but for what is given. */
export function message({
  from,
  to = "zoe@example.net",
  id,
  subject,
  fields = [],
  body = "Hello.\r\n",
}: Message): string {
  count++;
  const head = [
    ...fields,
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${subject}`,
    `Message-ID: <${id ?? `m${count}`}@example.org>`,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** An envelope report as Exchange makes it. */
export function report(text: readonly string[], attached: string, encoding = "7bit"): string {
  return [
    "X-MS-Journal-Report:",
    "From: Microsoft Exchange <MicrosoftExchange329e@example.org>",
    "To: journal@archive.example",
    "Subject: Quarterly",
    "Message-ID: <report@journal.report.generator>",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="_frontier_"',
    "",
    "--_frontier_",
    'Content-Type: text/plain; charset="utf-8"',
    "Content-Transfer-Encoding: quoted-printable",
    "",
    ...text.map((line) => line.replaceAll("=", "=3D")),
    "--_frontier_",
    "Content-Type: message/rfc822",
    `Content-Transfer-Encoding: ${encoding}`,
    "Content-Disposition: attachment",
    "",
    `${attached}`,
    "--_frontier_--",
    "",
  ].join("\r\n");
}

/** The first lines of a report's text. */
export const envelope = (sender: string, ...to: readonly string[]) => [
  `Sender: ${sender}`,
  "Subject: x",
  ...to.map((one) => `To: ${one}`),
];
