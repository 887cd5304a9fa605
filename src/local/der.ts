/** As much of DER (ITU-T X.690) as one certificate needs. */

export const sequence = (...parts: Buffer[]) => tagged(0x30, Buffer.concat(parts));
export const set = (...parts: Buffer[]) => tagged(0x31, Buffer.concat(parts));
export const octets = (content: Buffer) => tagged(0x04, content);
export const utf8 = (text: string) => tagged(0x0c, Buffer.from(text, "utf8"));
export const boolean = (value: boolean) => tagged(0x01, Buffer.from([value ? 0xff : 0]));
/** @param content big-endian, first bit 0 */
export const integer = (content: Buffer) => tagged(0x02, content);
export const bits = (content: Buffer) => tagged(0x03, Buffer.concat([Buffer.from([0]), content]));
export const context = (number: number, content: Buffer, constructed = true) =>
  tagged((constructed ? 0xa0 : 0x80) | number, content);

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from then on. @param ms since 1970 */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, "").slice(0, 14);
  return Number(digits.slice(0, 4)) < 2050
    ? tagged(0x17, Buffer.from(`${digits.slice(2)}Z`, "ascii"))
    : tagged(0x18, Buffer.from(`${digits}Z`, "ascii"));
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const content = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    content.push(...groups);
  }
  return tagged(0x06, Buffer.from(content));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length.toString(16);
  const octetsOfLength = Buffer.from(size.length % 2 === 0 ? size : `0${size}`, "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | octetsOfLength.length]), octetsOfLength, content]);
}
