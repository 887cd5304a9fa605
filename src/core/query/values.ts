/** Dates and sizes as people write them. */

const DAY = 24 * 3600_000;

/** The time that a date stands for, unix milliseconds: from its beginning up to its end. An instant has no length. */
export interface Period {
  readonly from: number;
  readonly to: number;
}

/**
 * `2026-11-24`, `2026-11`, `2026` (in UTC), `2026/11/24`, `today`, `yesterday`, or an instant such as `2026-11-24T10:00:00Z`.
 * @param now unix milliseconds
 */
export function readPeriod(text: string, now: number): Period | null {
  const today = Math.floor(now / DAY) * DAY;
  const word = text.toLowerCase();
  if (word === "today") return { from: today, to: today + DAY };
  if (word === "yesterday") return { from: today - DAY, to: today };
  const date = /^(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?$/.exec(text);
  if (!date) {
    if (!/^\d{4}-\d{2}-\d{2}T/.test(text)) return null;
    const instant = Date.parse(text);
    return Number.isNaN(instant) ? null : { from: instant, to: instant };
  }
  const [year, month, day] = [date[1], date[2], date[3]].map((part) => (part === undefined ? null : Number(part)));
  const from = Date.UTC(year ?? 0, (month ?? 1) - 1, day ?? 1);
  // The 31st of November would be the 1st of December.
  const real = new Date(from);
  if (real.getUTCMonth() !== (month ?? 1) - 1 || real.getUTCDate() !== (day ?? 1)) return null;
  if (day != null) return { from, to: from + DAY };
  return { from, to: month == null ? Date.UTC((year ?? 0) + 1, 0) : Date.UTC(year ?? 0, month) };
}

const UNITS: Readonly<Record<string, number>> = { h: 3600_000, d: DAY, w: 7 * DAY, m: 30 * DAY, y: 365 * DAY };

/** `12h`, `7d`, `2w`, `3m` (of 30 days), `1y`. @returns milliseconds */
export function readAge(text: string): number | null {
  const match = /^(\d{1,5})([hdwmy])$/i.exec(text);
  const unit = UNITS[match?.[2]?.toLowerCase() ?? ""];
  return match && unit !== undefined ? Number(match[1]) * unit : null;
}

const SIZES: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** `5M`, `500k`, `1.5MB`, `300`. @returns octets */
export function readSize(text: string): number | null {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)([kmg]?)(?:i?b)?$/i.exec(text);
  const unit = SIZES[match?.[2]?.toLowerCase() ?? ""];
  return match && unit !== undefined ? Math.round(Number(match[1]) * unit) : null;
}
