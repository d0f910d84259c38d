/** Steps made here from the states that trainingPeer.py wrote, beside the steps that PyTorch made from them. */
import { closeSync, openSync, readSync } from 'node:fs';
import { loadState, saveState } from '../../../services/student/trainerState.js';
import { namedCount, namedFloats } from '../../../src/models/namedValues.js';
import type { NamedTensor } from '../../../src/wire/safetensors.js';
import { CLASS_NAMES, type Prepared, makeStep } from './trainingSide.js';

/** What trainingPeer.py prints of a run. */
export interface PeerRun {
  readonly losses: readonly number[];
  readonly rates: readonly number[];
  /** Of the state dict, in order: name and shape. */
  readonly entries: readonly (readonly [name: string, shape: readonly number[]])[];
}

/** Weights, running statistics and batch counts by name; velocities by name. */
export interface State {
  readonly entries: ReadonlyMap<string, Float32Array>;
  readonly velocities: ReadonlyMap<string, Float32Array>;
}

export interface StepComparison {
  /** Distance of the loss, by PyTorch's. */
  readonly loss: number;
  readonly rate: number;
  /** Norm of the difference of the whole network's updates, by that of PyTorch's. */
  readonly update: number;
  readonly velocity: number;
  /**
   * What is there of weight decay here, less PyTorch's: the component of the updates' difference along the weights, by
   * the learning rate. A gradient behind batch norm has none, so that rounding hardly touches it.
   */
  readonly matrixDecay: number;
  /** The same of the scales of all norms. */
  readonly scaleDecay: number;
  /** Largest distance of an array of running statistics, by its norm; for statistics near 0 by 1e-3 per channel. */
  readonly statistics: number;
  readonly counts: number;
}

/** Compares the steps of a run; `way` has the states before and after each. */
export function compareAlong(prepared: Prepared, run: PeerRun, way: string): StepComparison[] {
  const learnt = new Set(prepared.trainer.parts.network.parameters().map(({ name }) => name));
  const file = openSync(way, 'r');
  try {
    const read = (index: number) => readRecord(file, index, run.entries, learnt);
    return run.losses.map((loss, step) => {
      const [before, after] = [read(step), read(step + 1)];
      load(prepared, before, run);
      const own = makeStep(prepared, step);
      const { entries, velocities } = stateOf(prepared);
      return {
        loss: Math.abs(own.loss / loss - 1),
        rate: Math.abs(own.rate / run.rates[step]! - 1),
        velocity: distance(velocities, after.velocities, null, learnt),
        ...updates({ entries, velocities }, before, after, learnt, own.rate),
        ...buffers(entries, after.entries, learnt),
      };
    });
  } finally {
    closeSync(file);
  }
}

type Arrays = ReadonlyMap<string, Float32Array>;

function readRecord(
  file: number,
  index: number,
  shapes: PeerRun['entries'],
  learnt: ReadonlySet<string>,
): State {
  const sizes = shapes.map(([, shape]) => shape.reduce((product, length) => product * length, 1));
  const trained = shapes.flatMap(([name], i) => (learnt.has(name) ? [i] : []));
  const total = [...sizes, ...trained.map((i) => sizes[i]!)].reduce((sum, size) => sum + size, 0);
  const record = new Float32Array(total);
  const bytes = readSync(file, record, 0, record.byteLength, index * record.byteLength);
  if (bytes !== record.byteLength) throw new Error(`record ${index}: ${bytes} bytes`);
  let at = 0;
  const take = (i: number): [string, Float32Array] => {
    at += sizes[i]!;
    return [shapes[i]![0], record.subarray(at - sizes[i]!, at)];
  };
  const entries = new Map(shapes.map((_, i) => take(i)));
  return { entries, velocities: new Map(trained.map(take)) };
}

function load({ trainer }: Prepared, { entries, velocities }: State, run: PeerRun): void {
  const shapes = new Map(run.entries);
  const tensors = (arrays: Arrays) =>
    new Map([...arrays].map(([name, values]) => [name, named(name, values, shapes.get(name)!)]));
  loadState(trainer, {
    student: { tensors: tensors(entries), metadata: {} },
    optimizer: { tensors: tensors(velocities), metadata: {} },
  });
}

function named(name: string, values: Float32Array, shape: readonly number[]): NamedTensor {
  const isCount = name.endsWith('num_batches_tracked');
  const array = isCount ? BigInt64Array.from(values, BigInt) : values.slice();
  return { dtype: isCount ? 'I64' : 'F32', shape, data: new Uint8Array(array.buffer) };
}

function stateOf({ trainer, config }: Prepared): State {
  const { student, optimizer } = saveState(trainer, { config, classNames: CLASS_NAMES });
  const floats = ([name, tensor]: [string, NamedTensor]): [string, Float32Array] => [
    name,
    tensor.dtype === 'I64' ? Float32Array.of(namedCount(name, tensor)) : namedFloats(name, tensor),
  ];
  return {
    entries: new Map([...student!.tensors].map(floats)),
    velocities: new Map([...optimizer!.tensors].map(floats)),
  };
}

function updates(
  own: State,
  before: State,
  after: State,
  learnt: ReadonlySet<string>,
  rate: number,
): Pick<StepComparison, 'update' | 'matrixDecay' | 'scaleDecay'> {
  const isScale = (name: string) => before.entries.has(name.replace(/weight$/, 'running_var'));
  const along = (isOf: (name: string) => boolean) => {
    let [component, square] = [0, 0];
    for (const name of [...learnt].filter((each) => each.endsWith('weight') && isOf(each))) {
      const [mine, theirs, weights] = [own, after, before].map(({ entries }) => entries.get(name)!);
      for (const [i, weight] of weights!.entries()) {
        component -= (mine![i]! - theirs![i]!) * weight;
        square += weight ** 2;
      }
    }
    return component / square / rate;
  };
  return {
    update: distance(own.entries, after.entries, before.entries, learnt),
    matrixDecay: along((name) => !isScale(name)),
    scaleDecay: along(isScale),
  };
}

/** Norm of got - wanted by that of wanted - origin, over all arrays of these names. */
export function distance(
  got: Arrays,
  wanted: Arrays,
  origin: Arrays | null,
  names: Iterable<string>,
): number {
  let [difference, size] = [0, 0];
  for (const name of names) {
    const [mine, theirs, zero] = [got.get(name)!, wanted.get(name)!, origin?.get(name)];
    for (const [i, value] of theirs.entries()) {
      difference += (mine[i]! - value) ** 2;
      size += (value - (zero?.[i] ?? 0)) ** 2;
    }
  }
  return Math.sqrt(difference / size);
}

function buffers(
  got: Arrays,
  wanted: Arrays,
  learnt: ReadonlySet<string>,
): Pick<StepComparison, 'statistics' | 'counts'> {
  let [statistics, counts] = [0, 0];
  for (const name of [...wanted.keys()].filter((each) => !learnt.has(each))) {
    if (name.endsWith('num_batches_tracked')) {
      counts = Math.max(counts, Math.abs(got.get(name)![0]! - wanted.get(name)![0]!));
    } else {
      statistics = Math.max(statistics, statisticsApart(got.get(name)!, wanted.get(name)!));
    }
  }
  return { statistics, counts };
}

function statisticsApart(got: Float32Array, wanted: Float32Array): number {
  const norm = Math.hypot(...wanted);
  const apart = Math.hypot(...wanted.map((value, i) => got[i]! - value));
  return apart / Math.max(norm, 1e-3 * Math.sqrt(wanted.length));
}
