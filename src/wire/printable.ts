/** Texts out of files, fit for an error message. */

const LONGEST = 100;

/** Short, and without characters that a terminal would obey. */
export function printable(text: string): string {
  return withoutControls(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}

/**
 * In full, without control characters, those that change a text's direction or are not seen, and
 * halves of surrogate pairs.
 */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}
