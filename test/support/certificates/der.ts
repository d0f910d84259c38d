/** DER, as far as a certificate needs it (ITU-T X.690): tag, length, content. */

/** One value: its content is the concatenation of `parts`. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOctets(content.length), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);

/** [n] with a value inside. */
export const explicit = (n: number, inner: Uint8Array): Buffer => der(0xa0 + n, inner);

/** "2.5.4.3" */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** Not negative. */
export function integer(value: number | Uint8Array): Buffer {
  const octets = typeof value === 'number' ? Buffer.from([value]) : value;
  // A first bit of 1 would be a sign.
  return der(0x02, octets[0]! >= 0x80 ? Buffer.from([0]) : Buffer.alloc(0), octets);
}

export const utf8String = (text: string): Buffer => der(0x0c, Buffer.from(text));

/** A whole number of octets. */
export const bitString = (octets: Uint8Array): Buffer => der(0x03, Buffer.from([0]), octets);

export const octetString = (octets: Uint8Array): Buffer => der(0x04, octets);

export const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 0xff : 0]));

/** GeneralizedTime, to the second. */
export function time(date: Date): Buffer {
  return der(0x18, Buffer.from(`${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`));
}

function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const octets = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.from([0x80 + octets.length, ...octets]);
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}
