/**
 * What a checkpoint's pickle may name and call: the closed list of what tensors are made of, which is
 * OrderedDict, tensors, parameters, storages and dtypes. Everything else is a name or an object
 * without content (foreignObjects.ts), or is refused.
 * Source of the forms: torch/_utils.py, torch/_tensor.py and torch/serialization.py of PyTorch 2.15;
 * `_rebuild_tensor`, Variable and Parameter as PyTorch 0.1 to 0.3 wrote them.
 */
import { CheckpointError } from '../checkpointError.js';
import type { SafetensorsDtype } from '../safetensors.js';
import { ForeignName, ForeignObject, ForeignObjects, MOST_PARTS } from './foreignObjects.js';
import { foreignResult } from './foreignResults.js';
import type { PickleRules } from './pickleReader.js';
import { kindOf, PickleDict, PickleSet, PickleTuple, shown } from './pickleValues.js';
import {
  PickledStorage,
  persistentStorage,
  STORAGE_CLASSES,
  StorageClass,
  type StorageSource,
} from './torchStorage.js';
import { type TorchTensor, torchTensor } from './torchTensor.js';

/** Lists and tuples that OrderedDict takes its entries from may be named again and again. */
const MOST_COPIED_ENTRIES = 1_000_000;

type Arguments = readonly unknown[];

/** What a name on the list stands for; compared by identity. */
class KnownGlobal {
  readonly name: string;
  /** null: a type, which is an argument of others. */
  readonly call: ((rules: TorchRules, args: Arguments) => unknown) | null;

  constructor(name: string, call: KnownGlobal['call']) {
    this.name = name;
    this.call = call;
  }
}

/** A value of its own class, so that nothing in a pickle can look like one. */
export class PickledTensor {
  readonly tensor: TorchTensor;

  constructor(tensor: TorchTensor) {
    this.tensor = tensor;
  }
}

/** torch.float32 and so on, where a tensor says the dtype of a storage of bytes. */
class DtypeName {
  readonly name: string;
  readonly dtype: SafetensorsDtype;

  constructor(name: string, dtype: SafetensorsDtype) {
    this.name = name;
    this.dtype = dtype;
  }
}

const DTYPE_NAMES: Readonly<Record<SafetensorsDtype, string>> = {
  ...{ F64: 'float64', F32: 'float32', F16: 'float16', BF16: 'bfloat16' },
  ...{ I64: 'int64', I32: 'int32', I16: 'int16', I8: 'int8', U8: 'uint8', BOOL: 'bool' },
};

const REBUILD_TENSORS = [
  new KnownGlobal('torch._utils._rebuild_tensor', rebuiltTensor(4, 4)),
  new KnownGlobal('torch._utils._rebuild_tensor_v2', rebuiltTensor(6, 7)),
  new KnownGlobal('torch._utils._rebuild_tensor_v3', rebuiltTensor(7, 8)),
];
const TENSOR_TYPES = [
  new KnownGlobal('torch.Tensor', null),
  ...['torch.nn.parameter.Parameter', 'torch.autograd.variable.Variable'].map(
    (name) => new KnownGlobal(name, wrappedTensor(name, 1, 3)),
  ),
];

const KNOWN: ReadonlyMap<string, KnownGlobal | StorageClass | DtypeName> = new Map(
  [
    new KnownGlobal('collections.OrderedDict', orderedDict),
    new KnownGlobal('collections.defaultdict', defaultDict),
    ...['builtins', '__builtin__'].flatMap((module) => [
      new KnownGlobal(`${module}.set`, () => new PickleSet(false)),
      new KnownGlobal(`${module}.frozenset`, () => new PickleSet(true)),
    ]),
    new KnownGlobal('torch.Size', torchSize),
    ...REBUILD_TENSORS,
    ...TENSOR_TYPES,
    new KnownGlobal('torch._utils._rebuild_parameter', wrappedTensor('_rebuild_parameter', 3, 3)),
    new KnownGlobal(
      'torch._utils._rebuild_parameter_with_state',
      wrappedTensor('_rebuild_parameter_with_state', 4, 4),
    ),
    new KnownGlobal('torch._tensor._rebuild_from_type_v2', rebuiltFromType),
    ...STORAGE_CLASSES.values(),
    ...(Object.entries(DTYPE_NAMES) as [SafetensorsDtype, string][]).map(
      ([dtype, name]) => new DtypeName(`torch.${name}`, dtype),
    ),
  ].map((known) => [known.name, known]),
);

/** Rules for one file. */
export class TorchRules implements PickleRules {
  /** What the file holds beside tensors and plain data. */
  readonly foreign = new ForeignObjects();
  readonly #storages: StorageSource;
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
      this.foreign.take([callee]);
      return foreignResult(callee, args, this.foreign, holdsTensor(args.items));
    }
    throw new CheckpointError(`a call of ${nameOf(callee)} is refused`);
  }

  create(type: unknown, args: PickleTuple): unknown {
    if (!(type instanceof ForeignName)) return this.call(type, args);
    this.foreign.take([type]);
    return this.foreign.add(type.name, args, holdsTensor(args.items));
  }

  /** A module's class, with its source, in files of whole modules before 1.6: the class. */
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
   * Module.state_dict() leaves its `_metadata` on the OrderedDict, old Variables have (requires_grad,
   * volatile, hooks): not needed.
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
    if (state instanceof PickleTuple) this.foreign.take(state.items);
    else this.foreign.takeState(state);
  }

  append(target: unknown, items: Arguments): void {
    if (!(target instanceof ForeignObject)) {
      throw new CheckpointError(`${kindOf(target)} on the stack, wanted a list`);
    }
    this.foreign.take(items);
  }

  /** Classes of dicts are kept as dicts: one may be the state dict. */
  setItems(target: unknown, pairs: Arguments): void {
    if (!(target instanceof ForeignObject)) {
      throw new CheckpointError(`${kindOf(target)} on the stack, wanted a dict`);
    }
    target.items ??= new PickleDict(true);
    target.items.setPairs(pairs);
  }

  /** Throws CheckpointError where a file has the same entries copied again and again. */
  countCopied(entries: number): void {
    this.#copiedEntries += entries;
    if (this.#copiedEntries > MOST_COPIED_ENTRIES) {
      throw new CheckpointError(`OrderedDict: more than ${MOST_COPIED_ENTRIES} entries from lists`);
    }
  }
}

/** Python 2 has a list of pairs as the argument. */
function orderedDict(rules: TorchRules, args: Arguments): PickleDict {
  const made = new PickleDict(true);
  if (args.length === 0) return made;
  const [entries] = args;
  if (args.length > 1 || !Array.isArray(entries)) {
    throw new CheckpointError('OrderedDict: wanted no arguments, or a list of pairs');
  }
  rules.countCopied(entries.length);
  for (const entry of entries) {
    const pair: unknown = entry instanceof PickleTuple ? entry.items : entry;
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new CheckpointError(`OrderedDict: ${kindOf(entry)} among the pairs`);
    }
    made.set(pair[0], pair[1]);
  }
  return made;
}

/** The argument, a name as a rule, makes the values that are missing. */
function defaultDict(rules: TorchRules, args: Arguments): PickleDict {
  rules.foreign.take(args);
  return new PickleDict(true);
}

/** A torch.Size is a tuple. */
function torchSize(_: TorchRules, args: Arguments): PickleTuple {
  const [sizes] = args;
  if (args.length === 1 && sizes instanceof PickleTuple) return sizes;
  throw new CheckpointError('torch.Size: wanted a tuple');
}

/** A tensor with flags, hooks and attributes that are not needed. */
function wrappedTensor(name: string, least: number, most: number): KnownGlobal['call'] {
  return (_, args) => {
    const [tensor] = args;
    const isTensor =
      tensor instanceof PickledTensor || (tensor instanceof ForeignObject && tensor.tensor);
    if (isTensor && args.length >= least && args.length <= most) return tensor;
    throw new CheckpointError(`${name}: wanted a tensor, a flag and hooks`);
  };
}

/** (function, type, arguments, state): a tensor with attributes, or of a class of its own. */
function rebuiltFromType(rules: TorchRules, args: Arguments): unknown {
  const [rebuild, type, inner] = args;
  const isKnown = REBUILD_TENSORS.some((known) => known === rebuild);
  if (args.length === 4 && inner instanceof PickleTuple && isKnown) {
    if (TENSOR_TYPES.some((known) => known === type)) return rules.call(rebuild, inner);
  }
  const name = type instanceof ForeignName ? type.name : 'torch._tensor._rebuild_from_type_v2';
  return rules.foreign.add(name, new PickleTuple(args), true);
}

/**
 * (storage, offset, size, stride[, requires_grad, backward_hooks[, dtype][, metadata]]). A dtype that
 * is not read makes a foreign object, which is refused where it is wanted.
 */
function rebuiltTensor(least: number, most: number): KnownGlobal['call'] {
  return (rules, items) => {
    const [storage, offset, shape, strides] = items;
    if (items.length < least || items.length > most || !(storage instanceof PickledStorage)) {
      throw new CheckpointError(
        `_rebuild_tensor: ${items.length} arguments from ${kindOf(storage ?? null)} on, wanted ${least} to ${most} from a storage on`,
      );
    }
    const typed = least === 7 ? items[6] : storage.type;
    const isRead = typed instanceof DtypeName || typed instanceof StorageClass;
    const metadata = items[least === 7 ? 7 : 6] ?? null;
    if (!isRead || typed.dtype === null) {
      const name = isRead || typed instanceof ForeignName ? typed.name : kindOf(typed);
      return rules.foreign.add(name, new PickleTuple([typed]), true);
    }
    // Marks a view that is conjugated or negated when read.
    if (metadata !== null && !isEmptyDict(metadata)) {
      return rules.foreign.add('torch.Tensor, conjugated or negated', new PickleTuple([]), true);
    }
    return new PickledTensor(
      torchTensor(
        storage.as(typed.dtype),
        wholeNumber('offset', offset),
        wholeNumbers('size', shape),
        wholeNumbers('stride', strides),
      ),
    );
  };
}

function isEmptyDict(value: unknown): boolean {
  return value instanceof PickleDict && value.entries.size + value.others === 0;
}

function wholeNumbers(what: string, value: unknown): number[] {
  if (value instanceof PickleTuple) return value.items.map((item) => wholeNumber(what, item));
  throw new CheckpointError(`_rebuild_tensor: ${what} is ${kindOf(value)}, wanted a tuple`);
}

function wholeNumber(what: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const given = typeof value === 'number' || typeof value === 'bigint' ? value : kindOf(value);
  throw new CheckpointError(`_rebuild_tensor: ${what} ${given}, wanted a whole number >= 0`);
}

function holdsTensor(values: Arguments): boolean {
  // The same tuple may be named again and again.
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
