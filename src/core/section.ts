/** Which part of a message: IMAP's numbers, `1`, `2.1` (RFC 9051 §6.4.5.1). */

/** At most as many levels as are looked into (MAX_MIME_DEPTH). */
const FORM = /^[1-9]\d{0,3}(?:\.[1-9]\d{0,3}){0,99}$/;

export const isSection = (text: string): boolean => FORM.test(text);
