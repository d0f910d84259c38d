/**
 * What a pickle's plain data become. Lists are arrays, bytes are Uint8Arrays.
 *
 * Nothing out of a file is hashed but strings: JavaScript's hash of numbers has no seed, so a file
 * could choose numbers that all collide.
 */
import { CheckpointError } from '../checkpointError.js';
import { printable } from '../printable.js';

export class PickleTuple {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** A dict or an OrderedDict. Values with other keys than strings are counted and not kept. */
export class PickleDict {
  readonly entries = new Map<string, unknown>();
  readonly ordered: boolean;
  #others = 0;

  constructor(ordered: boolean) {
    this.ordered = ordered;
  }

  /** How often a value with a key that is no string was set. */
  get others(): number {
    return this.#others;
  }

  /** Throws CheckpointError on a key that Python doesn't hash, or that no checkpoint has. */
  set(key: unknown, value: unknown): void {
    checkHashed(key, 'as a key');
    if (typeof key === 'string') this.entries.set(key, value);
    else this.#others += 1;
  }
}

/** A set or a frozenset: its items as they came, those that are equal too. */
export class PickleSet {
  readonly items: unknown[] = [];

  /** Throws CheckpointError on items that Python doesn't hash, or that no checkpoint has. */
  add(items: readonly unknown[]): void {
    for (const item of items) {
      checkHashed(item, 'in a set');
      this.items.push(item);
    }
  }
}

function checkHashed(value: unknown, where: string): void {
  const isMutable =
    Array.isArray(value) || value instanceof PickleDict || value instanceof PickleSet;
  if (isMutable) throw new CheckpointError(`${kindOf(value)} ${where}`);
  const isNumber = typeof value === 'bigint' || typeof value === 'number';
  if (isNumber && !Number.isSafeInteger(value)) {
    throw new CheckpointError(`${value} ${where}, wanted whole numbers below 2^53, if numbers`);
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
  if (value instanceof PickleSet) return 'a set';
  if (value instanceof PickleTuple) return `a tuple of ${value.items.length}`;
  if (typeof value === 'object') return `a ${value.constructor.name}`;
  return `a ${typeof value}`;
}
