/** FNV-1a, 32 bit, over the UTF-8 bytes of `text`; unsigned. A number for a name. */
export function fnv1a(text: string): number {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 16777619);
  }
  return hash >>> 0;
}
