/** Suggests the key that was probably meant. */
import type { SchemaNode } from './schemaTree.js';
import { knownKeys, walkKeys } from './schemaTree.js';

/**
 * The full key.path of the most similar known key: one in the same section with at most a third of
 * its letters wrong, otherwise a key with exactly that name in another section; null if there is none.
 */
export function suggestKey(
  root: SchemaNode,
  section: SchemaNode | undefined,
  sectionPath: readonly (string | number)[],
  sectionValue: unknown,
  key: string,
): string | null {
  const limit = Math.max(1, Math.floor(key.length / 3));
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const known of knownKeys(section, sectionValue)) {
    const distance = editDistance(key.toLowerCase(), known.toLowerCase());
    if (distance < bestDistance) {
      best = known;
      bestDistance = distance;
    }
  }
  if (best !== null) return [...sectionPath, best].join('.');
  const elsewhere = [...walkKeys(root)].map(({ path }) => path);
  // The key belongs to another alternative of this section: a namesake elsewhere would mislead.
  if (elsewhere.some((path) => path.join('.') === [...sectionPath, key].join('.'))) return null;
  const found = elsewhere.find((path) => path.at(-1)?.toLowerCase() === key.toLowerCase());
  return found?.join('.') ?? null;
}

/** Letters inserted, deleted, replaced or swapped with their neighbour (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swaps = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = swaps ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
