/**
 * Storages of a PyTorch file: arrays of elements of one dtype, of which tensors are views. A pickle refers to
 * them by a persistent id; where their bytes are depends on the file's format.
 * Source of the names: torch/storage.py and torch/serialization.py of PyTorch 2.15.
 */
import { CheckpointError } from '../checkpointError.js';
import { DTYPE_BYTES, type SafetensorsDtype } from '../safetensors.js';
import { PickleTuple, shown } from './pickle/values.js';
import type { TorchStorage } from './torchTensor.js';

/** A storage class; compared by identity, so that no other value of a pickle can pass for one. */
export class StorageClass {
  readonly name: string;
  /** null: a dtype that isn't supported. */
  readonly dtype: SafetensorsDtype | null;
  /** Bytes per element. */
  readonly width: number;

  constructor(name: string, dtype: SafetensorsDtype | null, width: number) {
    this.name = name;
    this.dtype = dtype;
    this.width = width;
  }
}

/** A storage to which a pickle refers; its bytes may come later in the file. */
export class PickledStorage {
  readonly type: StorageClass;
  readonly key: string;
  readonly elements: number;
  /** Gives its bytes, once they have been read. */
  readonly content: () => Uint8Array;

  constructor(type: StorageClass, key: string, elements: number, content: () => Uint8Array) {
    this.type = type;
    this.key = key;
    this.elements = elements;
    this.content = content;
  }

  /** Views the same bytes as elements of `dtype`. */
  as(dtype: SafetensorsDtype): TorchStorage {
    const elements = Math.floor((this.elements * this.type.width) / DTYPE_BYTES[dtype]);
    return { dtype, key: this.key, elements, content: this.content };
  }
}

/** Access to a file's storages. */
export interface StorageSource {
  /** Whether a persistent id ends with a view, as in the format before 1.6. */
  readonly views: boolean;
  /** Throws CheckpointError if the file doesn't hold exactly this many bytes under the key. */
  open(key: string, type: StorageClass, elements: number): () => Uint8Array;
}

const CLASS_NAMES: Readonly<Record<SafetensorsDtype, string>> = {
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

/** Classes of unsupported dtypes: name and bytes per element. */
const OTHER_CLASSES: readonly (readonly [string, number])[] = [
  ['ComplexFloatStorage', 8],
  ['ComplexDoubleStorage', 16],
  ['QInt8Storage', 1],
  ['QUInt8Storage', 1],
  ['QInt32Storage', 4],
  ['QUInt4x2Storage', 1],
  ['QUInt2x4Storage', 1],
];

/** The name of the storage class for a dtype, as a pickle has it (module `torch`). */
export function storageClass(dtype: SafetensorsDtype): string {
  return CLASS_NAMES[dtype];
}

/** By dotted name. Untyped storages count as bytes; the tensor states their dtype. */
export const STORAGE_CLASSES: ReadonlyMap<string, StorageClass> = new Map(
  [
    ...(Object.entries(CLASS_NAMES) as [SafetensorsDtype, string][]).map(
      ([dtype, name]) => new StorageClass(`torch.${name}`, dtype, DTYPE_BYTES[dtype]),
    ),
    ...OTHER_CLASSES.map(([name, width]) => new StorageClass(`torch.${name}`, null, width)),
    ...[
      'torch.storage.UntypedStorage',
      'torch.UntypedStorage',
      'torch.storage._UntypedStorage',
    ].map((name) => new StorageClass(name, 'U8', 1)),
  ].map((type) => [type.name, type]),
);

/**
 * Reads ('storage', class, key, location, element count). The format before 1.6 appends a view: None, or the
 * (key, offset, element count) of a part that is a storage of its own.
 */
export function persistentStorage(id: PickleTuple, source: StorageSource): PickledStorage {
  const [tag, type, key, location, elements, view = null] = id.items;
  if (
    !(id.items.length === (source.views ? 6 : 5) && tag === 'storage') ||
    !(type instanceof StorageClass && typeof key === 'string' && typeof location === 'string') ||
    !isCount(elements)
  ) {
    throw new CheckpointError(
      `persistent id: wanted ('storage', class, key, location, element count${source.views ? ', view' : ''})`,
    );
  }
  const content = source.open(key, type, elements);
  if (view === null) return new PickledStorage(type, key, elements, content);
  return viewOf(new PickledStorage(type, key, elements, content), view);
}

function viewOf({ type, key, elements, content }: PickledStorage, view: unknown): PickledStorage {
  const [name, offset, size] = view instanceof PickleTuple ? view.items : [];
  if (typeof name !== 'string' || !isCount(offset) || !isCount(size)) {
    throw new CheckpointError('persistent id: wanted a view of (key, offset, element count)');
  }
  if (offset + size > elements) {
    throw new CheckpointError(
      `storage ${shown(name)}: elements ${offset} to ${offset + size} of storage ${shown(key)}, which has ${elements}`,
    );
  }
  const start = offset * type.width;
  return new PickledStorage(type, name, size, () =>
    content().subarray(start, start + size * type.width),
  );
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
