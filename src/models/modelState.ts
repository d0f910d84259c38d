/** The weights and buffers of a network by official name, in state-dict order. */
import { type Parameter, scope, type Tensor } from '../tensor/index.js';
import { CheckpointError } from '../wire/checkpointError.js';
import { printable } from '../wire/printable.js';
import {
  float32Tensor,
  type NamedTensor,
  type NamedTensors,
  type TensorForm,
} from '../wire/safetensors.js';
import { type EntryRole, exportTensor, importTensor } from './layout.js';
import { checkFloats, namedCount, namedFloats } from './namedValues.js';
import type { BatchCounter } from './buffers.js';

export interface TensorEntry {
  readonly kind: 'parameter' | 'buffer';
  readonly name: string;
  /** In PyTorch's layout. */
  readonly shape: readonly number[];
  readonly role: EntryRole;
  readonly parameter: Parameter;
}

export interface CounterEntry {
  readonly kind: 'counter';
  readonly name: string;
  readonly shape: readonly [];
  readonly counter: BatchCounter;
}

export type StateEntry = TensorEntry | CounterEntry;

export interface LoadOptions {
  /** Throw, before anything is changed, unless all names and shapes match. */
  readonly strict: boolean;
  /** How many names the error lists per kind of mismatch; default 5. */
  readonly listed?: number;
  /** Load only entries with this prefix; the given names are without it. */
  readonly under?: string;
  /** Missing batch counts become 0, as in PyTorch for files older than the counts. */
  readonly countsMayLack?: boolean;
}

export interface LoadResult {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misshaped: readonly string[];
}

/** Whether the name is of a batch norm's running mean or variance: measured, not trained. */
export function isRunningStatistic(name: string): boolean {
  return /(^|\.)running_(mean|var)$/.test(name);
}

export class ModelState {
  readonly entries: StateEntry[] = [];

  /** All trained weights, in state-dict order. */
  parameters(): Parameter[] {
    return this.entries.flatMap((entry) => (entry.kind === 'parameter' ? [entry.parameter] : []));
  }

  /** Copies of all entries in PyTorch's names, layouts and dtypes (F32, counts I64). */
  stateDict(): Map<string, NamedTensor> {
    return new Map(this.exported());
  }

  /** The same one after the other, for those who don't need all of them at once. */
  *exported(): Generator<[name: string, tensor: NamedTensor]> {
    for (const entry of this.entries) {
      if (entry.kind === 'counter') {
        yield [entry.name, countTensor(entry.counter.count)];
      } else {
        const values = scope(() => exportTensor(entry.role, entry.parameter.read()));
        yield [entry.name, float32Tensor(values, entry.shape)];
      }
    }
  }

  /** Converts a tensor laid out like `parameter` (its gradient or velocity) to PyTorch's layout. */
  officialLayout(parameter: Parameter, tensor: Tensor): NamedTensor {
    const entry = this.#entryOf(parameter);
    return float32Tensor(exportTensor(entry.role, tensor), entry.shape);
  }

  /** The inverse of officialLayout. The tensor belongs to the caller's scope. */
  nativeLayout(parameter: Parameter, tensor: NamedTensor): Tensor {
    const entry = this.#entryOf(parameter);
    return importTensor(entry.role, namedFloats(entry.name, tensor), entry.shape);
  }

  /**
   * Loads every entry that is given with the right shape. Throws CheckpointError on a wrong dtype and, if
   * strict, on any other mismatch.
   */
  loadStateDict(given: NamedTensors, options: LoadOptions): LoadResult {
    const wanted = this.#entriesUnder(options.under ?? '');
    const tensors = options.countsMayLack ? withAllCounts(given, wanted, COUNT_OF_ZERO) : given;
    const { result, fitting } = compared(tensors, wanted, options);
    const assignments = fitting.map(([name, entry]) => {
      const tensor = tensors.get(name)!;
      if (entry.kind === 'counter') {
        const count = namedCount(name, tensor);
        return () => {
          entry.counter.count = count;
        };
      }
      checkFloats(name, tensor);
      // Converted when it is assigned: all values at once would double the weights' memory.
      return () =>
        scope(() => {
          const values = namedFloats(name, tensor);
          entry.parameter.assign(importTensor(entry.role, values, entry.shape));
        });
    });
    for (const assign of assignments) assign();
    return result;
  }

  /**
   * For weights that were built from stored ones: throws CheckpointError unless all names, shapes and dtypes match, and takes
   * the counts, which `countOf` gives.
   */
  adopt(
    given: ReadonlyMap<string, TensorForm>,
    countOf: (name: string) => NamedTensor,
    options: Omit<LoadOptions, 'strict' | 'under'>,
  ): void {
    const wanted = this.#entriesUnder('');
    const all = options.countsMayLack ? withAllCounts(given, wanted, COUNT_OF_ZERO) : given;
    const { fitting } = compared(all, wanted, { ...options, strict: true });
    for (const [name, entry] of fitting) {
      if (entry.kind !== 'counter') checkFloats(name, all.get(name)!);
      else if (given.has(name)) entry.counter.count = namedCount(name, countOf(name));
    }
  }

  dispose(): void {
    for (const entry of this.entries) if (entry.kind !== 'counter') entry.parameter.dispose();
  }

  #entryOf(parameter: Parameter): TensorEntry {
    for (const entry of this.entries) {
      if (entry.kind !== 'counter' && entry.parameter === parameter) return entry;
    }
    throw new Error(`${parameter.name}: no parameter of this network`);
  }

  /** The entries whose names begin with `prefix`, by the rest of the name. */
  #entriesUnder(prefix: string): Map<string, StateEntry> {
    const found = this.entries.filter(({ name }) => name.startsWith(prefix));
    return new Map(found.map((entry) => [entry.name.slice(prefix.length), entry]));
  }
}

const countTensor = (count: number): NamedTensor => ({
  dtype: 'I64',
  shape: [],
  data: new Uint8Array(BigInt64Array.of(BigInt(count)).buffer),
});

const COUNT_OF_ZERO = countTensor(0);

function withAllCounts<Form extends TensorForm>(
  tensors: ReadonlyMap<string, Form>,
  wanted: ReadonlyMap<string, StateEntry>,
  zero: Form,
): ReadonlyMap<string, Form> {
  const lacking = [...wanted].filter(
    ([name, { kind }]) => kind === 'counter' && !tensors.has(name),
  );
  return new Map([...tensors, ...lacking.map(([name]) => [name, zero] as const)]);
}

/** The entries that are given with the right shape. Throws CheckpointError if strict and anything else is there or lacks. */
function compared(
  tensors: ReadonlyMap<string, TensorForm>,
  wanted: ReadonlyMap<string, StateEntry>,
  { strict, listed = 5 }: LoadOptions,
): { readonly result: LoadResult; readonly fitting: (readonly [string, StateEntry])[] } {
  const missing = [...wanted.keys()].filter((name) => !tensors.has(name));
  const unexpected = [...tensors.keys()].filter((name) => !wanted.has(name));
  const present = [...wanted].filter(([name]) => tensors.has(name));
  const fits = ([name, { shape }]: readonly [string, StateEntry]) =>
    tensors.get(name)!.shape.join() === shape.join();
  const misshaped = present.filter((named) => !fits(named)).map(([name]) => name);
  const result = { missing, unexpected, misshaped };
  if (strict && missing.length + unexpected.length + misshaped.length > 0) {
    throw new CheckpointError(mismatch(tensors, wanted, result, listed));
  }
  return { result, fitting: present.filter(fits) };
}

function mismatch(
  tensors: ReadonlyMap<string, TensorForm>,
  wanted: ReadonlyMap<string, StateEntry>,
  { missing, unexpected, misshaped }: LoadResult,
  most: number,
): string {
  const shapes = misshaped.map(
    (name) => `${name} [${tensors.get(name)!.shape}], wanted [${wanted.get(name)!.shape}]`,
  );
  const parts = [
    list('missing', missing, most),
    list('unexpected', unexpected.map(printable), most),
    list('wrong shape', shapes, most),
  ];
  return `weights: ${parts.filter((part) => part !== '').join('; ')}`;
}

function list(title: string, items: readonly string[], most: number): string {
  if (items.length === 0) return '';
  const rest = items.length > most ? ` and ${items.length - most} more` : '';
  return `${title}: ${items.slice(0, most).join(', ')}${rest}`;
}
