/** The Date field, also as it should not be written. */

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const TIME = /(\d{1,2}):(\d{2})(?::(\d{2}))?/;
const DAY_MONTH_YEAR = /(\d{1,2})[ -]+([a-z]{3})[a-z]*[ -]+(\d{2,4})/i;
const YEAR_MONTH_DAY = /(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})/;
const OFFSET = /([+-])[+-]?(\d{2}):?(\d{2})\b/;

/**
 * @param text of the field
 * @returns unix milliseconds; null where no date is to be read. A zone that is none counts as UTC (RFC 5322 §4.3)
 */
export function readDate(text: string): number | null {
  const strict = Date.parse(text);
  if (!Number.isNaN(strict)) return strict;
  const time = TIME.exec(text);
  const day = dayOf(text);
  if (!time || !day) return null;
  const [, hours, minutes, seconds = "0"] = time;
  const minutesEast = zoneOf(text);
  const at = Date.UTC(day.year, day.month, day.day, Number(hours), Number(minutes) - minutesEast, Number(seconds));
  return Number.isNaN(at) ? null : at;
}

/** @returns minutes east of Greenwich; 0 where the field says none in numbers */
export function zoneOf(text: string): number {
  const time = TIME.exec(text);
  const zone = time && OFFSET.exec(text.slice(time.index + time[0].length));
  return zone ? Number(`${zone[1]}1`) * (Number(zone[2]) * 60 + Number(zone[3])) : 0;
}

function dayOf(text: string): { year: number; month: number; day: number } | null {
  const [, day, name, year = ""] = DAY_MONTH_YEAR.exec(text) ?? [];
  const month = MONTHS.indexOf(name?.toLowerCase() ?? "");
  if (month !== -1) return { year: fullYear(year), month, day: Number(day) };
  const numbers = YEAR_MONTH_DAY.exec(text);
  if (!numbers || Number(numbers[2]) > 12) return null;
  return { year: Number(numbers[1]), month: Number(numbers[2]) - 1, day: Number(numbers[3]) };
}

/** RFC 5322 §4.3. */
function fullYear(text: string): number {
  const year = Number(text);
  if (text.length === 2) return year + (year < 50 ? 2000 : 1900);
  return text.length === 3 ? year + 1900 : year;
}
