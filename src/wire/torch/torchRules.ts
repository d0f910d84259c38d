/**
 * The closed list of what a checkpoint's pickle may name and call: OrderedDict, tensors, parameters
 * and storages. Everything else is refused by name.
 * Source of the forms: torch/_utils.py and torch/serialization.py of PyTorch 2.9.
 */
import { CheckpointError } from '../checkpointError.js';
import { DTYPE_BYTES, type SafetensorsDtype } from '../safetensors.js';
import type { PickleRules } from './pickleReader.js';
import { kindOf, PickleDict, PickleTuple, shown } from './pickleValues.js';
import { type TorchStorage, type TorchTensor, torchTensor } from './torchTensor.js';

/** What a global stands for; compared by identity, never called. */
class AllowedGlobal {
  readonly name: string;
  /** Of a storage class. */
  readonly dtype: SafetensorsDtype | null;

  constructor(name: string, dtype: SafetensorsDtype | null = null) {
    this.name = name;
    this.dtype = dtype;
  }
}

/** A value of its own class, so that nothing in a pickle can look like one. */
export class PickledTensor {
  readonly tensor: TorchTensor;

  constructor(tensor: TorchTensor) {
    this.tensor = tensor;
  }
}

class PickledStorage {
  readonly storage: TorchStorage;

  constructor(storage: TorchStorage) {
    this.storage = storage;
  }
}

const ORDERED_DICT = new AllowedGlobal('collections.OrderedDict');
const REBUILD_TENSOR = new AllowedGlobal('torch._utils._rebuild_tensor_v2');
const REBUILD_PARAMETER = new AllowedGlobal('torch._utils._rebuild_parameter');

const STORAGES: Readonly<Record<SafetensorsDtype, string>> = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  I16: 'ShortStorage',
  I8: 'CharStorage',
  U8: 'ByteStorage',
  BOOL: 'BoolStorage',
};

const ALLOWED: ReadonlyMap<string, AllowedGlobal> = new Map(
  [
    ...[ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER],
    ...(Object.entries(STORAGES) as [SafetensorsDtype, string][]).map(
      ([dtype, name]) => new AllowedGlobal(`torch.${name}`, dtype),
    ),
  ].map((allowed) => [allowed.name, allowed]),
);

/** The name of the storage class for a dtype, as a pickle has it (module `torch`). */
export function storageClass(dtype: SafetensorsDtype): string {
  return STORAGES[dtype];
}

/** Rules for one file; `storageData` gives the bytes of a storage's key, undefined where it's missing. */
export function torchRules(storageData: (key: string) => Uint8Array | undefined): PickleRules {
  return {
    resolve,
    call,
    persistent: (id) => persistentStorage(id, storageData),
    setState,
  };
}

function resolve(module: string, name: string): AllowedGlobal {
  const allowed = ALLOWED.get(`${module}.${name}`);
  if (allowed !== undefined) return allowed;
  throw new CheckpointError(
    `global ${shown(`${module}.${name}`)} is refused: only OrderedDict, tensors, parameters and their storages are read`,
  );
}

function call(callee: unknown, { items }: PickleTuple): unknown {
  switch (callee) {
    case ORDERED_DICT:
      if (items.length > 0) throw new CheckpointError('OrderedDict: wanted no arguments');
      return new PickleDict(true);
    case REBUILD_TENSOR:
      return rebuiltTensor(items);
    case REBUILD_PARAMETER:
      if (items.length === 3 && items[0] instanceof PickledTensor) return items[0];
      throw new CheckpointError('_rebuild_parameter: wanted a tensor, a flag and hooks');
    default: {
      const what = callee instanceof AllowedGlobal ? callee.name : kindOf(callee);
      throw new CheckpointError(`a call of ${what} is refused`);
    }
  }
}

/** (storage, offset, size, stride, requires_grad, backward_hooks[, metadata]) */
function rebuiltTensor(items: readonly unknown[]): PickledTensor {
  const [storage, offset, shape, strides, , , metadata = null] = items;
  if (items.length < 6 || items.length > 7 || !(storage instanceof PickledStorage)) {
    throw new CheckpointError(
      `_rebuild_tensor_v2: ${items.length} arguments from ${kindOf(storage ?? null)} on, wanted 6 or 7 from a storage on`,
    );
  }
  // Marks a view that is conjugated or negated when read.
  if (metadata !== null && !isEmptyDict(metadata)) {
    throw new CheckpointError('_rebuild_tensor_v2: a tensor with metadata is refused');
  }
  return new PickledTensor(
    torchTensor(
      storage.storage,
      wholeNumber('offset', offset),
      wholeNumbers('size', shape),
      wholeNumbers('stride', strides),
    ),
  );
}

function isEmptyDict(value: unknown): boolean {
  return value instanceof PickleDict && value.entries.size + value.others === 0;
}

function wholeNumbers(what: string, value: unknown): number[] {
  if (value instanceof PickleTuple) return value.items.map((item) => wholeNumber(what, item));
  throw new CheckpointError(`_rebuild_tensor_v2: ${what} is ${kindOf(value)}, wanted a tuple`);
}

function wholeNumber(what: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const given = typeof value === 'number' || typeof value === 'bigint' ? value : kindOf(value);
  throw new CheckpointError(`_rebuild_tensor_v2: ${what} ${given}, wanted a whole number >= 0`);
}

/** ('storage', class, key, location, element count); the bytes must be there, and as many. */
function persistentStorage(
  id: unknown,
  storageData: (key: string) => Uint8Array | undefined,
): PickledStorage {
  const [tag, type, key, location, elements] = id instanceof PickleTuple ? id.items : [];
  const dtype = type instanceof AllowedGlobal ? type.dtype : null;
  if (
    !(id instanceof PickleTuple && id.items.length === 5 && tag === 'storage') ||
    !(dtype !== null && typeof key === 'string' && typeof location === 'string') ||
    !(typeof elements === 'number' && Number.isSafeInteger(elements) && elements >= 0)
  ) {
    throw new CheckpointError(
      "persistent id: wanted ('storage', class, key, location, element count)",
    );
  }
  const data = storageData(key);
  if (data === undefined) throw new CheckpointError(`storage ${shown(key)} is missing in the file`);
  const wanted = elements * DTYPE_BYTES[dtype];
  if (data.byteLength !== wanted) {
    throw new CheckpointError(
      `storage ${shown(key)} has ${data.byteLength} bytes, ${elements} elements of ${dtype} want ${wanted}`,
    );
  }
  return new PickledStorage({ dtype, key, data, elements });
}

/** Module.state_dict() leaves its `_metadata` on the OrderedDict: plain data, not needed. */
function setState(target: unknown, state: unknown): void {
  const isAttributes =
    target instanceof PickleDict && target.ordered && state instanceof PickleDict;
  if (isAttributes) return;
  throw new CheckpointError(`attributes of ${kindOf(target)} are refused`);
}
