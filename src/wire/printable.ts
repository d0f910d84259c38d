/** Makes texts from files safe for error messages. */

const LONGEST = 100;

/** Shortens a text and replaces characters that a terminal would interpret. */
export function printable(text: string): string {
  return withoutControls(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}

/**
 * Replaces control characters, invisible characters, those that change the text's direction and unpaired
 * surrogates. Doesn't shorten.
 */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}
