/** `~/x` in a key that is the path of a file or folder: the user's home, as a shell would have it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type KeyPath, nodeAt, type SchemaNode } from './schemaTree.js';

/** `~` or `~/x` with the home folder in front; any other path as it is. */
export function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

/** Expands, in place, every path of a config. `~name/x` isn't expanded. */
export function expandHomes(root: SchemaNode, value: unknown): void {
  const visit = (holder: unknown, path: KeyPath): void => {
    if (holder === null || typeof holder !== 'object') return;
    for (const [key, member] of Object.entries(holder)) {
      const here = [...path, Array.isArray(holder) ? Number(key) : key];
      if (typeof member !== 'string') visit(member, here);
      else if (nodeAt(root, here, value)?.isPath) {
        (holder as Record<string, unknown>)[key] = expandHome(member);
      }
    }
  };
  visit(value, []);
}
