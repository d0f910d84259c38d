/** Text made safe for SVG and HTML, and the small pieces that both reports are built of. */

/** Characters that XML 1.0 has no way to write, and halves of surrogate pairs. */
const UNWRITABLE = /[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For element content and quoted attributes, in SVG and HTML alike. */
export function escapeText(text: string): string {
  return text
    .replace(UNWRITABLE, (c) => (c === '\n' || c === '\t' ? c : '\uFFFD'))
    .replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
}

/** name="value" for each; numbers cut to what a picture needs. */
export function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeText(shortNumber(value))}"`)
    .join('');
}

/** One element; `content` is markup already. */
export function element(
  name: string,
  values: Readonly<Record<string, string | number>>,
  content = '',
): string {
  return content === ''
    ? `<${name}${attributes(values)}/>`
    : `<${name}${attributes(values)}>${content}</${name}>`;
}

export function pngDataUri(png: Uint8Array): string {
  const base64 = Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64');
  return `data:image/png;base64,${base64}`;
}

/** Width in pixels of a text in DejaVu Sans, near enough to lay out legends and columns. */
export function textWidth(text: string, fontSize: number): number {
  let width = 0;
  for (const character of text) {
    if ("iljIt.,:;|!'()[] f".includes(character)) width += 0.36;
    else if ('mwMW@%'.includes(character)) width += 0.95;
    else width += 0.63;
  }
  return width * fontSize;
}

function shortNumber(value: string | number): string {
  return typeof value === 'number' ? String(Math.round(value * 100) / 100) : value;
}
