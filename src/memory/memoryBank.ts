/**
 * The base of the memory banks: one queue of unit rows per class.
 *
 * Writes are staged: samples see them at once, `commit` makes them permanent and `discard` undoes
 * them completely. So a step that turns out not to be finite leaves the bank unchanged.
 */
import type { Draws } from '../random/draws.js';
import { int32Tensor, type NamedTensor, type NamedTensors } from '../wire/safetensors.js';
import { place, type RingState, type RingWrap } from './ring.js';
import { type Precision, RowStore, type StoredRows } from './rowStore.js';

/** The beginning of the names of its state's tensors. */
export type BankName = 'pixel' | 'region' | 'channel';

export interface BankOptions {
  readonly classes: number;
  /** Rows per class. */
  readonly size: number;
  readonly channels: number;
  readonly precision: Precision;
  readonly ringWrap: RingWrap;
  /**
   * filled: each class draws from the rows that it holds. reference: one permutation of all slots,
   * filled or not, is used for every class, as in the official code.
   */
  readonly sampling: 'filled' | 'reference';
}

export interface SampledRows {
  /** [count, channels], classes in order, in the bank's precision. */
  readonly data: StoredRows;
  readonly count: number;
}

/** The first `take` entries of a permutation of 0 … n-1. */
type Choose = (classNumber: number, n: number, take: number) => Int32Array;

interface Undo {
  readonly classNumber: number;
  readonly ring: RingState;
  readonly rows: readonly (readonly [number, StoredRows])[];
}

export class MemoryBank {
  readonly name: BankName;
  readonly options: BankOptions;
  readonly #store: RowStore;
  readonly #rings: RingState[];
  #undo: Undo[] = [];

  constructor(name: BankName, options: BankOptions) {
    this.name = name;
    this.options = options;
    const { classes, size, channels, precision } = options;
    this.#store = new RowStore(classes * size, channels, precision);
    this.#rings = Array.from({ length: classes }, () => ({ size, pointer: 0, fill: 0 }));
  }

  /** Share of slots that hold rows, over all classes, 0..1. */
  get fillRatio(): number {
    const filled = this.#rings.reduce((sum, ring) => sum + ring.fill, 0);
    return filled / (this.options.classes * this.options.size);
  }

  /** Number of rows that a class holds. */
  fill(classNumber: number): number {
    return this.#rings[classNumber]!.fill;
  }

  /**
   * Normalises rows [count, channels] and appends them to a class's queue. Throws RangeError if the
   * length isn't a whole number of rows or the class doesn't exist.
   */
  stage(classNumber: number, rows: Float32Array): void {
    const { channels, size, ringWrap } = this.options;
    const ring = this.#rings[classNumber];
    if (ring === undefined) {
      throw new RangeError(`class: ${classNumber} given, wanted 0 to ${this.#rings.length - 1}`);
    }
    if (rows.length % channels !== 0) {
      throw new RangeError(`rows: ${rows.length} values given, wanted a multiple of ${channels}`);
    }
    const { slots, after } = place(ring, rows.length / channels, ringWrap);
    const base = classNumber * size;
    const replaced = [...new Set(slots)].map(
      (slot) => [base + slot, this.#store.copy(base + slot)] as const,
    );
    this.#undo.push({ classNumber, ring, rows: replaced });
    slots.forEach((slot, i) => {
      this.#store.writeUnit(base + slot, rows, i * channels);
    });
    this.#rings[classNumber] = after;
  }

  /** Makes the staged rows permanent. */
  commit(): void {
    this.#undo = [];
  }

  /** Undoes everything staged since the last commit. */
  discard(): void {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      this.#rings[undo.classNumber] = undo.ring;
      for (const [row, stored] of undo.rows) this.#store.restore(row, stored);
    }
  }

  /** Copies up to `wanted` rows of each class, chosen by `choose`; staged rows included. */
  protected sampleRows(wanted: number, choose: Choose): SampledRows {
    const { size, sampling } = this.options;
    const shared = sampling === 'reference' ? choose(0, size, Math.min(size, wanted)) : undefined;
    const chosen = this.#rings.map(({ fill }, classNumber) => {
      if (shared !== undefined) return shared;
      if (fill === 0) return new Int32Array(0);
      return choose(classNumber, fill, Math.min(fill, wanted));
    });
    const rows = chosen.flatMap((slots, classNumber) =>
      Array.from(slots, (slot) => classNumber * size + slot),
    );
    const data = this.#store.gather(Int32Array.from(rows));
    return { data, count: rows.length };
  }

  /**
   * Writes a random unit row into every slot without counting it as filled. The official code's
   * queues begin this way, which matters to reference sampling only.
   */
  randomize(draws: Draws): void {
    const row = new Float32Array(this.options.channels);
    for (let slot = 0; slot < this.options.classes * this.options.size; slot++) {
      draws.fillNormal(row, 0, 1);
      this.#store.writeUnit(slot, row, 0);
    }
  }

  /**
   * `<name>_queue` [classes, size, channels], `<name>_ptr` and `<name>_fill` [classes]. The queue
   * is a view: write it out before the next `stage`. Throws while rows are staged.
   */
  exportState(): Map<string, NamedTensor> {
    if (this.#undo.length > 0) throw new Error(`${this.name} bank: staged rows, commit first`);
    const { classes, size, channels } = this.options;
    const numbers = (key: 'pointer' | 'fill') =>
      int32Tensor(
        Int32Array.from(this.#rings, (ring) => ring[key]),
        [classes],
      );
    return new Map([
      [`${this.name}_queue`, this.#store.view([classes, size, channels])],
      [`${this.name}_ptr`, numbers('pointer')],
      [`${this.name}_fill`, numbers('fill')],
    ]);
  }

  /** Replaces the state with one from `exportState`, after checking it; drops staged rows. */
  importState(state: NamedTensors): void {
    const { classes, size, channels, precision } = this.options;
    const dtype = precision === 'fp32' ? 'F32' : 'F16';
    const queue = this.#entry(state, 'queue', dtype, [classes, size, channels]);
    const pointers = int32Values(this.#entry(state, 'ptr', 'I32', [classes]));
    const fills = int32Values(this.#entry(state, 'fill', 'I32', [classes]));
    const rings = fills.map((fill, i): RingState => {
      const pointer = pointers[i]!;
      if (pointer < 0 || pointer >= size || fill < pointer || fill > size) {
        throw new RangeError(
          `${this.name} bank: class ${i} has pointer ${pointer} and fill ${fill} of ${size} rows`,
        );
      }
      return { size, pointer, fill };
    });
    this.#undo = [];
    this.#store.load(queue);
    rings.forEach((ring, i) => {
      this.#rings[i] = ring;
    });
  }

  #entry(state: NamedTensors, part: string, dtype: string, shape: readonly number[]): NamedTensor {
    const name = `${this.name}_${part}`;
    const tensor = state.get(name);
    if (tensor === undefined) throw new RangeError(`${name}: not in the state`);
    if (tensor.dtype !== dtype || tensor.shape.join() !== shape.join()) {
      throw new RangeError(
        `${name}: ${tensor.dtype} [${tensor.shape}] given, wanted ${dtype} [${shape}]`,
      );
    }
    return tensor;
  }
}

function int32Values(tensor: NamedTensor): number[] {
  const view = new DataView(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  return Array.from({ length: tensor.data.byteLength / 4 }, (_, i) => view.getInt32(4 * i, true));
}
