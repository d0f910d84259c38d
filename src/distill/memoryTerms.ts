/**
 * Both memory terms of one forward pass: compares the projected student feature and the teacher's
 * embedding by their similarities to the banks' rows.
 *
 * N images, h w positions, P = N * h * w, L labelled positions, D teacher channels, M bank rows.
 */
import { type MemoryContrastOptions, memoryContrast } from '../losses/memoryContrast.js';
import type { LabelMaps } from '../losses/nearestLabels.js';
import { unitRows, unitRowsGrad } from '../losses/normalize.js';
import type { SampledRows } from '../memory/memoryBank.js';
import { int32, ops, scalar, scope, type Tensor } from '../tensor/index.js';
import { IGNORED } from './enqueue.js';
import { rowsTensor } from './sampledRows.js';

/** A memory term with a weight above 0. */
export interface MemoryTerm {
  readonly name: 'memory_pixel' | 'memory_region';
  readonly weight: number;
  readonly rows: SampledRows;
}

export interface MemoryTermValues {
  readonly losses: ReadonlyMap<MemoryTerm['name'], number>;
  /** float32 [P, D]: the gradient of the weighted sum with respect to the projected feature. */
  readonly gradient_PD: Tensor;
}

/** Positions that have a label, ascending. */
export function labelledPositions({ data }: LabelMaps): Int32Array {
  const positions: number[] = [];
  for (let i = 0; i < data.length; i++) if (data[i] !== IGNORED) positions.push(i);
  return Int32Array.from(positions);
}

/** @param labelled the labelled positions, at least one */
export function memoryTerms(
  projected_PD: Tensor,
  embedding_PD: Tensor,
  labelled: Int32Array,
  terms: readonly MemoryTerm[],
  options: MemoryContrastOptions,
): MemoryTermValues {
  return scope(() => {
    const [positions = 0, channels = 0] = projected_PD.shape;
    const all = labelled.length === positions;
    const index_L = int32(labelled, [labelled.length]);
    const pick = (x_PD: Tensor) => (all ? x_PD : ops.gather(x_PD, index_L));
    const student = unitRows(pick(projected_PD));
    const teacher_LD = pick(embedding_PD);
    const losses = new Map<MemoryTerm['name'], number>();
    const termGradient = ({ name, weight, rows }: MemoryTerm) =>
      scope(() => {
        const bank_MD = rowsTensor(rows, channels);
        const result = memoryContrast(student.embedding_PC, teacher_LD, bank_MD, options);
        losses.set(name, result.loss);
        return ops.mul(result.gradient_PD, scalar(weight));
      });
    // The scope frees the summands before the next tensors of their size are made.
    const sum_LD = scope(() => ops.addN(terms.map(termGradient)));
    const gradient_LD = unitRowsGrad(sum_LD, student);
    return {
      losses,
      gradient_PD: all ? gradient_LD : spread(gradient_LD, labelled, positions),
    };
  });
}

/** Puts rows back at their positions, with zeros elsewhere. */
function spread(rows_LD: Tensor, labelled: Int32Array, positions: number): Tensor {
  return scope(() => {
    const index_L = int32(labelled, [labelled.length]);
    return ops.unsortedSegmentSum(rows_LD, index_L, positions);
  });
}
