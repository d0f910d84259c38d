/** Instance keys, by which TensorFlow tells the collectives of a group apart. */

/** Known ones are used again: a key of its own for each call would leak memory in TensorFlow. */
export function keyOf(keys: Map<string, number>, signature: string): number {
  const known = keys.get(signature);
  if (known !== undefined) return known;
  keys.set(signature, keys.size + 1);
  return keys.size;
}
