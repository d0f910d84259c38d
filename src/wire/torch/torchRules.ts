/**
 * Decides on the names and calls in a checkpoint's pickle: those on the closed list in tensorForms.ts build
 * tensors. Everything else becomes an inert name or object (foreignObjects.ts), or is refused.
 */
import { CheckpointError } from '../checkpointError.js';
import { ForeignName, ForeignObject, ForeignObjects, MOST_PARTS } from './foreignObjects.js';
import { foreignResult } from './foreignResults.js';
import type { PickleRules } from './pickle/machine.js';
import { kindOf, PickleDict, PickleTuple, shown } from './pickle/values.js';
import {
  DtypeName,
  KNOWN,
  KnownGlobal,
  type CallRules,
  PickledTensor,
  wholeNumber,
} from './tensorForms.js';
import {
  PickledStorage,
  persistentStorage,
  StorageClass,
  type StorageSource,
} from './torchStorage.js';

/** Limit on entries that OrderedDict copies from lists, which a file may reference again and again. */
const MOST_COPIED_ENTRIES = 1_000_000;

type Arguments = readonly unknown[];

/** Rules for one file. */
export class TorchRules implements PickleRules, CallRules {
  /** What the file holds besides tensors and plain data. */
  readonly foreign = new ForeignObjects();
  readonly #storages: StorageSource;
  readonly #numbers = new WeakMap<PickleTuple, readonly number[]>();
  #copiedEntries = 0;

  constructor(storages: StorageSource) {
    this.#storages = storages;
  }

  resolve(module: string, name: string): unknown {
    return KNOWN.get(`${module}.${name}`) ?? this.foreign.resolve(module, name);
  }

  call(callee: unknown, args: PickleTuple): unknown {
    if (callee instanceof KnownGlobal && callee.call !== null) return callee.call(this, args.items);
    if (callee instanceof ForeignName && callee.callable) {
      this.foreign.markAsParts([callee]);
      return foreignResult(callee, args, this.foreign, holdsTensor(args.items));
    }
    throw new CheckpointError(`a call of ${nameOf(callee)} is refused`);
  }

  create(type: unknown, args: PickleTuple): unknown {
    if (!(type instanceof ForeignName && type.creatable)) return this.call(type, args);
    this.foreign.markAsParts([type]);
    return this.foreign.add(type.name, args, holdsTensor(args.items));
  }

  /** A storage, or in files of whole modules before 1.6 a module's class with its source: then the class. */
  persistent(id: unknown): unknown {
    if (!(id instanceof PickleTuple)) {
      throw new CheckpointError(`persistent id: ${kindOf(id)}, wanted a tuple`);
    }
    const [tag, type] = id.items;
    const isModule = tag === 'module' && id.items.length === 4 && this.#storages.views;
    if (isModule && type instanceof ForeignName) return type;
    return persistentStorage(id, this.#storages);
  }

  /**
   * Ignores `_metadata`, which Module.state_dict() sets on the OrderedDict, and the (requires_grad, volatile,
   * hooks) of old Variables.
   */
  setState(target: unknown, state: unknown): void {
    const isAttributes =
      target instanceof PickleDict && target.ordered && state instanceof PickleDict;
    const isFlags =
      target instanceof PickledTensor &&
      state instanceof PickleTuple &&
      state.items.length === 3 &&
      !holdsTensor(state.items);
    if (isAttributes || isFlags) return;
    if (!(target instanceof ForeignObject)) {
      throw new CheckpointError(`attributes of ${nameOf(target)} are refused`);
    }
    if (state instanceof PickleTuple) this.foreign.markAsParts(state.items);
    else this.foreign.markStateAsParts(state);
  }

  append(target: unknown, items: Arguments): void {
    if (!(target instanceof ForeignObject)) {
      throw new CheckpointError(`${kindOf(target)} on the stack, wanted a list`);
    }
    this.foreign.markAsParts(items);
  }

  /** Keeps the items of dict classes, because one may be the state dict. */
  setItems(target: unknown, pairs: Arguments): void {
    if (!(target instanceof ForeignObject)) {
      throw new CheckpointError(`${kindOf(target)} on the stack, wanted a dict`);
    }
    target.items ??= new PickleDict(true);
    target.items.setPairs(pairs);
  }

  /** Throws CheckpointError if the file has too many entries copied. */
  countCopied(entries: number): void {
    this.#copiedEntries += entries;
    if (this.#copiedEntries > MOST_COPIED_ENTRIES) {
      throw new CheckpointError(`OrderedDict: more than ${MOST_COPIED_ENTRIES} entries from lists`);
    }
  }

  numbers(what: string, value: unknown): readonly number[] {
    if (!(value instanceof PickleTuple)) {
      throw new CheckpointError(`_rebuild_tensor: ${what} is ${kindOf(value)}, wanted a tuple`);
    }
    const known = this.#numbers.get(value) ?? value.items.map((item) => wholeNumber(what, item));
    this.#numbers.set(value, known);
    return known;
  }
}

function holdsTensor(values: Arguments): boolean {
  // Bounded, because a file may reference the same tuple again and again.
  return values
    .slice(0, MOST_PARTS)
    .some(
      (value) =>
        value instanceof PickledTensor ||
        value instanceof PickledStorage ||
        (value instanceof ForeignObject && value.tensor),
    );
}

function nameOf(value: unknown): string {
  const isName = value instanceof ForeignName || value instanceof KnownGlobal;
  if (isName || value instanceof StorageClass || value instanceof DtypeName)
    return shown(value.name);
  if (value instanceof ForeignObject) return `an object of ${shown(value.name)}`;
  return value instanceof PickledTensor ? 'a tensor' : kindOf(value);
}
