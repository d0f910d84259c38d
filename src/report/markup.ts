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
  return writable(text).replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
}

/** The text with a mark in place of what no XML can hold. */
export function writable(text: string): string {
  return text.replace(UNWRITABLE, (c) => (c === '\n' || c === '\t' ? c : '\uFFFD'));
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

/** A text element, in SVG. */
export function label(text: string, values: Readonly<Record<string, string | number>>): string {
  return element('text', values, escapeText(text));
}

function shortNumber(value: string | number): string {
  return typeof value === 'number' ? String(Math.round(value * 100) / 100) : value;
}
