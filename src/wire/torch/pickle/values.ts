/**
 * The values of a pickle's plain data. Lists are arrays, bytes are Uint8Arrays.
 *
 * Only strings from a file are hashed: JavaScript's hash of numbers has no seed, so a file could choose
 * numbers that all collide.
 */
import { CheckpointError } from '../../checkpointError.js';
import { printable } from '../../printable.js';

export class PickleTuple {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

const NO_ENTRIES: ReadonlyMap<string, unknown> = new Map();

/** A dict or an OrderedDict. Entries whose key isn't a string are counted, not kept. */
export class PickleDict {
  readonly ordered: boolean;
  /** Created lazily: a Map takes two hundred bytes, an empty dict in a pickle takes one. */
  #entries: Map<string, unknown> | null = null;
  #others = 0;

  constructor(ordered: boolean) {
    this.ordered = ordered;
  }

  get entries(): ReadonlyMap<string, unknown> {
    return this.#entries ?? NO_ENTRIES;
  }

  /** How many entries were set with a key that isn't a string. */
  get others(): number {
    return this.#others;
  }

  /** Throws CheckpointError on a key that isn't hashable in Python. */
  set(key: unknown, value: unknown): void {
    checkHashed(key, 'as a key');
    if (typeof key === 'string') {
      this.#entries ??= new Map();
      this.#entries.set(key, value);
    } else {
      this.#others += 1;
    }
  }

  /** Sets alternating keys and values. */
  setPairs(pairs: readonly unknown[]): void {
    for (let i = 0; i < pairs.length; i += 2) this.set(pairs[i], pairs[i + 1]);
  }
}

/** Throws CheckpointError unless the value is a tuple. */
export function argumentTuple(value: unknown): PickleTuple {
  if (value instanceof PickleTuple) return value;
  throw new CheckpointError(`arguments: ${kindOf(value)} given, wanted a tuple`);
}

/** A set or a frozenset. Its items aren't kept. */
export class PickleSet {
  readonly frozen: boolean;

  constructor(frozen: boolean) {
    this.frozen = frozen;
  }

  /** Throws CheckpointError on items that aren't hashable in Python. */
  add(items: readonly unknown[]): void {
    for (const item of items) checkHashed(item, 'in a set');
  }
}

function checkHashed(value: unknown, where: string): void {
  const isMutable =
    Array.isArray(value) ||
    value instanceof PickleDict ||
    (value instanceof PickleSet && !value.frozen);
  if (isMutable) throw new CheckpointError(`${kindOf(value)} ${where}`);
}

/** A name from a file, in quotes, for messages. */
export function shown(text: string): string {
  return JSON.stringify(printable(text));
}

/** The kind of a value, for error messages; never its content. */
export function kindOf(value: unknown): string {
  if (value === null) return 'None';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof PickleDict) return value.ordered ? 'an OrderedDict' : 'a dict';
  if (value instanceof PickleSet) return 'a set';
  if (value instanceof PickleTuple) return `a tuple of ${value.items.length}`;
  if (typeof value === 'object') return `a ${value.constructor.name}`;
  return `a ${typeof value}`;
}
