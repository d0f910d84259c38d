/** What a pickle's plain data become. Lists are arrays, sets are Sets, bytes are Uint8Arrays. */
import { printable } from '../printable.js';

export class PickleTuple {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** A dict or an OrderedDict. Keys are strings, numbers, whatever Python hashes. */
export class PickleDict {
  readonly entries = new Map<unknown, unknown>();
  readonly ordered: boolean;

  constructor(ordered: boolean) {
    this.ordered = ordered;
  }
}

/** A name out of a file, in quotes. */
export function shown(text: string): string {
  return JSON.stringify(printable(text));
}

/** The kind of a value, for error messages; never its content. */
export function kindOf(value: unknown): string {
  if (value === null) return 'None';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof PickleDict) return value.ordered ? 'an OrderedDict' : 'a dict';
  if (value instanceof PickleTuple) return `a tuple of ${value.items.length}`;
  if (typeof value === 'object') return `a ${value.constructor.name}`;
  return `a ${typeof value}`;
}
