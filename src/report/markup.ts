/** Escapes text for SVG and HTML, and builds the elements that both reports consist of. */

/** Characters that can't be written in XML 1.0, and halves of surrogate pairs. */
const UNWRITABLE = /[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for element content and quoted attributes, in both SVG and HTML. */
export function escapeText(text: string): string {
  return writable(text).replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
}

/** Replaces characters that can't be written in XML by U+FFFD. */
export function writable(text: string): string {
  return text.replace(UNWRITABLE, (c) => (c === '\n' || c === '\t' ? c : '\uFFFD'));
}

/** name="value" for each entry; numbers are rounded to the precision of a picture. */
export function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeText(shortNumber(value))}"`)
    .join('');
}

/** One element; `content` is markup and isn't escaped. */
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

/** An SVG text element. */
export function label(text: string, values: Readonly<Record<string, string | number>>): string {
  return element('text', values, escapeText(text));
}

function shortNumber(value: string | number): string {
  return typeof value === 'number' ? String(Math.round(value * 100) / 100) : value;
}
