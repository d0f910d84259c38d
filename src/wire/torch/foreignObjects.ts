/**
 * Names and objects of a pickle that are no part of a checkpoint's tensors. They are inert: a name is a
 * text, an object is the name of its class. Nothing is imported, looked up or called.
 *
 * What would run something if it were made is refused, so that a file which tries to is told from one that
 * holds a trainer's settings:
 * - names of Python's standard library, but for classes of data (standardLibrary.ts);
 * - calls of what is no class: other libraries' functions (names in small letters), results of calls,
 *   attributes. Those functions that libraries have for pickles alone are taken as classes are.
 */
import { CheckpointError } from '../checkpointError.js';
import { PickleDict, type PickleTuple, shown } from './pickle/values.js';
import { isStandardData, isStandardModule } from './standardLibrary.js';

/** Arguments and attributes that are looked at for parts of an object; the others stand alone. */
export const MOST_PARTS = 64;
const MOST_NAMES = 1000;
const SHOWN_NAMES = 8;

const IDENTIFIERS = /^[\p{L}_][\p{L}\p{N}_]*(\.[\p{L}_][\p{L}\p{N}_]*)*$/u;
const CAPITAL = /^_*\p{Lu}/u;
/** Functions that pickles call: `_rebuild_qtensor`, `_unpickle_block`, `__pyx_unpickle_Enum`. */
const FOR_PICKLES = /^_+(rebuild|reconstruct|unpickle|pyx_unpickle|mareconstruct)/;
/** The same without such a name. */
const TAKEN = new Set([
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

/** What a global stands for; never resolved. */
export class ForeignName {
  readonly name: string;
  /** Whether an object may be made of it. */
  readonly callable: boolean;

  constructor(name: string, callable: boolean) {
    this.name = name;
    this.callable = callable;
  }
}

/** An object of which the name is known alone, and what was set in it if it's a kind of dict. */
export class ForeignObject {
  /** Dotted name of its class. */
  readonly name: string;
  /** Whether it stands for a tensor that isn't read. */
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
    throw new CheckpointError(`global ${shown(whole)} is refused: no name of a class`);
  }
  if (isStandardModule(module)) {
    if (isStandardData(module, name)) return new ForeignName(whole, true);
    throw new CheckpointError(
      `global ${shown(whole)} is refused: of Python's own modules only classes of data are taken`,
    );
  }
  // Through classes, not through a module that a module has imported.
  if (!parts.every((part) => CAPITAL.test(part))) {
    throw new CheckpointError(`global ${shown(whole)} is refused: no class within a class`);
  }
  return new ForeignName(whole, CAPITAL.test(last) || FOR_PICKLES.test(last) || TAKEN.has(whole));
}

/** The objects beside the weights of one file. */
export class ForeignObjects {
  readonly #names = new Map<string, ForeignName>();
  /** Those that are no part of another one. */
  readonly #whole = new Set<ForeignName | ForeignObject>();

  resolve(module: string, name: string): ForeignName {
    const whole = `${module} ${name}`;
    const known = this.#names.get(whole) ?? foreignName(module, name);
    if (!this.#names.has(whole)) this.#whole.add(known);
    this.#names.set(whole, known);
    return known;
  }

  /** A name within a class: before protocol 4 nested classes and members of enums are pickled so. */
  within(owner: ForeignName, name: string): ForeignName {
    this.take([owner]);
    const callable = owner.callable && CAPITAL.test(name) && !isStandardModule(owner.name);
    const made = new ForeignName(`${owner.name}.${name}`, callable);
    this.#whole.add(made);
    return made;
  }

  /** An object of `name`, which has taken `args` for its parts. */
  add(name: string, args: PickleTuple, tensor = false): ForeignObject {
    this.take(args.items);
    const made = new ForeignObject(name, tensor);
    this.#whole.add(made);
    return made;
  }

  /** These are parts of something else. */
  take(values: readonly unknown[]): void {
    for (let i = 0; i < Math.min(values.length, MOST_PARTS); i++) {
      const value = values[i];
      if (value instanceof ForeignName || value instanceof ForeignObject) this.#whole.delete(value);
    }
  }

  /** As `take`; of a dict the values. */
  takeState(state: unknown): void {
    if (!(state instanceof PickleDict)) return;
    const values: unknown[] = [];
    for (const value of state.entries.values()) {
      if (values.push(value) === MOST_PARTS) break;
    }
    this.take(values);
  }

  notRead(): NotRead {
    const names = new Set<string>();
    for (const { name } of this.#whole) {
      names.add(name);
      if (names.size === MOST_NAMES) break;
    }
    return { names: [...names].sort(), objects: this.#whole.size };
  }
}

/** What a file holds beside tensors and plain data. */
export interface NotRead {
  /** Dotted names of the classes, each once; a thousand at most. */
  readonly names: readonly string[];
  readonly objects: number;
}

/** For a line of output; null where there's nothing to say. */
export function describeNotRead({ names, objects }: NotRead): string | null {
  if (objects === 0) return null;
  const some = names.slice(0, SHOWN_NAMES).map((name) => shown(name).slice(1, -1));
  const more = names.length > some.length ? ` and ${names.length - some.length} more` : '';
  const count = objects === 1 ? '1 object' : `${objects} objects`;
  return `${some.join(', ')}${more} (${count} beside the weights)`;
}
