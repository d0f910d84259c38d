/** Pixels of more than 8 bits as bytes. */

/** The largest value of 12 bits. */
const TWELVE_BITS = 4095;

/**
 * Values from 0 to `whiteValue` as 0 to 255, rounded; what is above is white.
 *
 * Without `whiteValue`, the range is the one that is usual for the type, and an image that contradicts it is
 * refused, since a wrong range gives a black or a white image:
 *
 * - 16 bits: the upper 8 bits, as OpenCV takes them. Refused: no value above 4095, which looks like 12 bits in 16.
 * - float: 0 to 1 if no value exceeds 1, else 0 to 255. Refused: values below 0, above 255, or none above 2 though
 *   some exceed 1.
 *
 * @throws Error for such an image, and for a value that isn't finite.
 */
export function bytesOfDeepPixels(
  values: Uint16Array | Float32Array,
  whiteValue: number | null,
): Uint8Array {
  const white = whiteValue ?? usualWhite(values);
  const bytes = new Uint8Array(values.length);
  if (white === null) {
    for (let i = 0; i < values.length; i++) bytes[i] = values[i]! >> 8;
    return bytes;
  }
  const factor = 255 / white;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value))
      throw new Error(`got ${value} at value ${i}, wanted finite values`);
    bytes[i] = Math.max(0, Math.min(255, Math.floor(value * factor + 0.5)));
  }
  return bytes;
}

/** null: the upper 8 of 16 bits. */
function usualWhite(values: Uint16Array | Float32Array): number | null {
  const { min, max } = range(values);
  if (values instanceof Uint16Array) {
    if (max > TWELVE_BITS || max === 0) return null;
    throw new Error(
      `16 bits per channel, but no value above ${max}, which would be nearly black. ` +
        'Say which value is white: 4095 for 12 bits in 16, or 65535 (whiteValue, --white-value)',
    );
  }
  if (min >= 0 && max <= 1) return 1;
  if (min >= 0 && max > 2 && max <= 255) return 255;
  throw new Error(
    `floats from ${min} to ${max}, wanted 0 to 1 or 0 to 255. ` +
      'Say which value is white (whiteValue, --white-value)',
  );
}

function range(values: Uint16Array | Float32Array): { min: number; max: number } {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value))
      throw new Error(`got ${value} at value ${i}, wanted finite values`);
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}
