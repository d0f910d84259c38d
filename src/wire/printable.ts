/** Texts out of files, fit for an error message. */

const LONGEST = 100;

/** Short, and without control characters, which a terminal would obey. */
export function printable(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return cut.replace(/\p{Cc}/gu, '\u{fffd}');
}
