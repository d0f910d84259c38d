/**
 * The closed list of names from which a pickle builds tensors (OrderedDict, tensors, parameters, storages,
 * dtypes) and the result of calling each.
 * Source of the forms: torch/_utils.py, torch/_tensor.py and torch/storage.py of PyTorch 2.15;
 * `_rebuild_tensor`, Variable and Parameter as PyTorch 0.1 to 0.3 wrote them.
 */
import { CheckpointError } from '../checkpointError.js';
import type { SafetensorsDtype } from '../safetensors.js';
import { ForeignName, ForeignObject, type ForeignObjects } from './foreignObjects.js';
import { kindOf, PickleDict, PickleSet, PickleTuple } from './pickle/values.js';
import { PickledStorage, STORAGE_CLASSES, StorageClass } from './torchStorage.js';
import { type TorchTensor, torchTensor } from './torchTensor.js';

type Arguments = readonly unknown[];

/** The part of a file's rules that these calls use. Each method throws CheckpointError. */
export interface CallRules {
  readonly foreign: ForeignObjects;
  call(callee: unknown, args: PickleTuple): unknown;
  /** Counts copied entries, to refuse a file that has the same list copied again and again. */
  countCopied(entries: number): void;
  /** Checks that `value` is a tuple of whole numbers >= 0; `what` names it. Returns one array per tuple. */
  numbers(what: string, value: unknown): readonly number[];
}

/** A name on the list; compared by identity. */
export class KnownGlobal {
  readonly name: string;
  /** null: a type that is only used as an argument. */
  readonly call: ((rules: CallRules, args: Arguments) => unknown) | null;

  constructor(name: string, call: KnownGlobal['call']) {
    this.name = name;
    this.call = call;
  }
}

/** A tensor of the pickle, in a class of its own so that no other value can pass for one. */
export class PickledTensor {
  readonly tensor: TorchTensor;

  constructor(tensor: TorchTensor) {
    this.tensor = tensor;
  }
}

/** torch.float32 and so on: how a tensor states the dtype of an untyped storage. */
export class DtypeName {
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

/** By dotted name. */
export const KNOWN: ReadonlyMap<string, KnownGlobal | StorageClass | DtypeName> = new Map(
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

/** Python 2 passes a list of pairs. */
function orderedDict(rules: CallRules, args: Arguments): PickleDict {
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

/** The argument, usually a name, is the factory of missing values and isn't used. */
function defaultDict(rules: CallRules, args: Arguments): PickleDict {
  rules.foreign.markAsParts(args);
  return new PickleDict(true);
}

/** A torch.Size is a tuple. */
function torchSize(_: CallRules, args: Arguments): PickleTuple {
  const [sizes] = args;
  if (args.length === 1 && sizes instanceof PickleTuple) return sizes;
  throw new CheckpointError('torch.Size: wanted a tuple');
}

/** Returns the tensor without its flags, hooks and attributes. */
function wrappedTensor(name: string, least: number, most: number): KnownGlobal['call'] {
  return (_, args) => {
    const [tensor] = args;
    const isTensor =
      tensor instanceof PickledTensor || (tensor instanceof ForeignObject && tensor.tensor);
    if (isTensor && args.length >= least && args.length <= most) return tensor;
    throw new CheckpointError(`${name}: wanted a tensor, a flag and hooks`);
  };
}

/** (function, type, arguments, state): a tensor with attributes, or of a subclass. */
function rebuiltFromType(rules: CallRules, args: Arguments): unknown {
  const [rebuild, type, inner] = args;
  const isKnown = REBUILD_TENSORS.some((known) => known === rebuild);
  if (args.length === 4 && inner instanceof PickleTuple && isKnown) {
    if (TENSOR_TYPES.some((known) => known === type)) return rules.call(rebuild, inner);
  }
  const name = type instanceof ForeignName ? type.name : 'torch._tensor._rebuild_from_type_v2';
  return rules.foreign.add(name, new PickleTuple(args), true);
}

/**
 * (storage, offset, size, stride[, requires_grad, backward_hooks[, dtype][, metadata]]). A dtype that isn't
 * supported gives a foreign object, which is refused only if the state dict contains it.
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
    // Metadata mark a view that must be conjugated or negated when read.
    if (metadata !== null && !isEmptyDict(metadata)) {
      return rules.foreign.add('torch.Tensor, conjugated or negated', new PickleTuple([]), true);
    }
    return new PickledTensor(
      torchTensor(
        storage.as(typed.dtype),
        wholeNumber('offset', offset),
        rules.numbers('size', shape),
        rules.numbers('stride', strides),
      ),
    );
  };
}

function isEmptyDict(value: unknown): boolean {
  return value instanceof PickleDict && value.entries.size + value.others === 0;
}

/** Throws CheckpointError naming `what` unless the value is a whole number >= 0. */
export function wholeNumber(what: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const given = typeof value === 'number' || typeof value === 'bigint' ? value : kindOf(value);
  throw new CheckpointError(`_rebuild_tensor: ${what} ${given}, wanted a whole number >= 0`);
}
