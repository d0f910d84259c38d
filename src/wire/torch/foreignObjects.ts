/**
 * Names and objects of a pickle that don't belong to a checkpoint's tensors. They are inert: a name is only
 * text, and an object is only the name of its class. Nothing is imported, looked up or called.
 *
 * Names that would run code if they were called are refused, to distinguish a file that attempts this from
 * one that only holds a trainer's settings:
 * - names in modules of Python's standard library that exist to run code (os, subprocess), called or not;
 * - calls of other names of the standard library, except data classes (standardLibrary.ts);
 * - calls of anything but a class: other libraries' functions (lower-case names), results of calls,
 *   attributes. Functions that libraries provide only for pickles are accepted like classes.
 */
import { CheckpointError } from '../checkpointError.js';
import { PickleDict, type PickleTuple, shown } from './pickle/values.js';
import { isRunner, isStandardData, isStandardModule } from './standardLibrary.js';

/** How many arguments or attributes of an object are searched for its parts; the rest count separately. */
export const MOST_PARTS = 64;
const MOST_NAMES = 1000;
const SHOWN_NAMES = 8;

const IDENTIFIERS = /^[\p{L}_][\p{L}\p{N}_]*(\.[\p{L}_][\p{L}\p{N}_]*)*$/u;
const CAPITAL = /^_*\p{Lu}/u;
/** Functions that pickles call: `_rebuild_qtensor`, `_unpickle_block`, `__pyx_unpickle_Enum`. */
const PICKLE_FUNCTION = /^_+(rebuild|reconstruct|unpickle|pyx_unpickle|mareconstruct)/;
/** Names that are callable without following these naming rules. */
const CALLABLE_NAMES = new Set([
  'numpy.dtype',
  'numpy.ndarray',
  'numpy.core.multiarray.scalar',
  'numpy._core.multiarray.scalar',
  'numpy.core.numeric._frombuffer',
  'numpy._core.numeric._frombuffer',
  'numpy.random._pickle.__bit_generator_ctor',
  'numpy.random._pickle.__generator_ctor',
  'numpy.random._pickle.__randomstate_ctor',
  'pandas.core.indexes.base._new_Index',
  'torch.device',
  'torch.serialization._get_layout',
]);

/** The name of a global; never resolved. */
export class ForeignName {
  readonly name: string;
  /** Whether it may be called to make an object. */
  readonly callable: boolean;
  /** Whether it belongs to Python's standard library. */
  readonly standard: boolean;

  constructor(name: string, callable: boolean, standard = false) {
    this.name = name;
    this.callable = callable;
    this.standard = standard;
  }

  /** Whether a class of this name may be instantiated: other libraries' functions have no `__new__`. */
  get creatable(): boolean {
    return this.callable || !this.standard;
  }

  /** Whether it's a function of the standard library that may not be called; always reported. */
  get uncalled(): boolean {
    return !this.creatable && !CAPITAL.test(this.name.slice(this.name.lastIndexOf('.') + 1));
  }
}

/** An object of which only the class' name is kept, and the items if it's a kind of dict. */
export class ForeignObject {
  /** Dotted name of its class. */
  readonly name: string;
  /** Whether it represents a tensor of a kind that isn't read. */
  readonly tensor: boolean;
  items: PickleDict | null = null;

  constructor(name: string, tensor: boolean) {
    this.name = name;
    this.tensor = tensor;
  }
}

/** Throws CheckpointError that names what is refused. */
function foreignName(module: string, name: string): ForeignName {
  const whole = `${module}.${name}`;
  const parts = name.split('.');
  const last = parts.pop()!;
  if (!IDENTIFIERS.test(whole)) {
    throw new CheckpointError(`global ${shown(whole)} is refused: not a class name`);
  }
  if (isStandardModule(module)) {
    if (!isRunner(module, name)) return new ForeignName(whole, isStandardData(module, name), true);
    throw new CheckpointError(
      `global ${shown(whole)} is refused: from Python's own modules, names that run code are not accepted`,
    );
  }
  // Nested names must lead through classes, not through a module that another module imported.
  if (!parts.every((part) => CAPITAL.test(part))) {
    throw new CheckpointError(`global ${shown(whole)} is refused: not a class within a class`);
  }
  return new ForeignName(
    whole,
    CAPITAL.test(last) || PICKLE_FUNCTION.test(last) || CALLABLE_NAMES.has(whole),
  );
}

/** The foreign names and objects of one file. */
export class ForeignObjects {
  readonly #names = new Map<string, ForeignName>();
  /** Those that aren't part of another object. */
  readonly #whole = new Set<ForeignName | ForeignObject>();

  resolve(module: string, name: string): ForeignName {
    const whole = `${module} ${name}`;
    const known = this.#names.get(whole) ?? foreignName(module, name);
    if (!this.#names.has(whole)) this.#whole.add(known);
    this.#names.set(whole, known);
    return known;
  }

  /** A name within a class: how nested classes and enum members are pickled before protocol 4. */
  within(owner: ForeignName, name: string): ForeignName {
    this.markAsParts([owner]);
    const callable = owner.callable && CAPITAL.test(name) && !owner.standard;
    const made = new ForeignName(`${owner.name}.${name}`, callable, owner.standard);
    this.#whole.add(made);
    return made;
  }

  /** Adds an object of class `name`, with `args` as its parts. */
  add(name: string, args: PickleTuple, tensor = false): ForeignObject {
    this.markAsParts(args.items);
    const made = new ForeignObject(name, tensor);
    this.#whole.add(made);
    return made;
  }

  /** Marks values as parts of another object. */
  markAsParts(values: readonly unknown[]): void {
    for (let i = 0; i < Math.min(values.length, MOST_PARTS); i++) {
      const value = values[i];
      const isReported = value instanceof ForeignName && value.uncalled;
      if (isReported) continue;
      if (value instanceof ForeignName || value instanceof ForeignObject) this.#whole.delete(value);
    }
  }

  /** Marks the values of a dict as parts. */
  markStateAsParts(state: unknown): void {
    if (!(state instanceof PickleDict)) return;
    const values: unknown[] = [];
    for (const value of state.entries.values()) {
      if (values.push(value) === MOST_PARTS) break;
    }
    this.markAsParts(values);
  }

  notRead(): NotRead {
    const names = new Set<string>();
    const uncalled = new Set<string>();
    for (const one of this.#whole) {
      const kind = one instanceof ForeignName && one.uncalled ? uncalled : names;
      if (kind.size < MOST_NAMES) kind.add(one.name);
    }
    const sorted = [...[...uncalled].sort(), ...[...names].sort()];
    return { names: sorted.slice(0, MOST_NAMES), objects: this.#whole.size };
  }
}

/** What a file holds besides tensors and plain data. */
export interface NotRead {
  /** Distinct dotted names, a thousand at most: functions of Python's standard library, then the others. */
  readonly names: readonly string[];
  readonly objects: number;
}

/** Text for a line of output; null if there are no such objects. */
export function describeNotRead({ names, objects }: NotRead): string | null {
  if (objects === 0) return null;
  const some = names.slice(0, SHOWN_NAMES).map((name) => shown(name).slice(1, -1));
  const more = names.length > some.length ? ` and ${names.length - some.length} more` : '';
  const count = objects === 1 ? '1 object' : `${objects} objects`;
  return `${some.join(', ')}${more} (${count} besides the weights)`;
}
