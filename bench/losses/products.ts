/**
 * How fast this machine does the matrix products that a loss can't do without, and nothing else:
 * TensorFlow's MatMul, walking the loss's own tiles in their order, so that the cache is as cold or
 * warm as it is for the loss.
 */
import { performance } from 'node:perf_hooks';
import { ops, scope, type Tensor } from '../../src/tensor/index.js';
import type { Inputs } from './inputs.js';
import type { Point, Products } from './points.js';

const TILE = 1024;

/** A run of rows, as it is and transposed: no product transposes on the way. */
interface Tile {
  readonly student_RC: Tensor;
  readonly student_CR: Tensor;
  readonly teacher_RD: Tensor;
  readonly teacher_DR: Tensor;
}

type Kind = keyof Products;

export function productRates(point: Point, inputs: Inputs, seconds: number): Products {
  return scope(() => {
    const memory = point.loss === 'memory';
    const rows = tiles(inputs.student_NC, inputs.teacher_ND);
    const columns = memory ? bankTiles(inputs.banks_MD) : rows;
    // Without a bank those on and above the diagonal.
    const pairs = rows.flatMap((row, a) =>
      columns.slice(memory ? 0 : a).map((column) => [row, column] as const),
    );
    const none = () => ({ student: 0, teacher: 0, gradient: 0 });
    let [spent, flop] = [none(), none()];
    const product = (kind: Kind, a: Tensor, b: Tensor) => {
      const start = performance.now();
      const result = ops.matMul(a, b);
      spent[kind] += performance.now() - start;
      flop[kind] += 2 * result.size * a.shape[1]!;
      return result;
    };
    let end = Number.POSITIVE_INFINITY;
    for (let walked = 0; performance.now() < end; walked++) {
      const [row, column] = pairs[walked % pairs.length]!;
      scope(() => tileProducts(row, column, memory, product));
      if (walked > 0) continue;
      // The first pair warms up.
      [spent, flop] = [none(), none()];
      end = performance.now() + 1000 * seconds;
    }
    const rate = (kind: Kind) => (1000 * flop[kind]) / spent[kind];
    return { student: rate('student'), teacher: rate('teacher'), gradient: rate('gradient') };
  });
}

/** The similarities stand in for the gradient with respect to them: the same size, as fresh. */
function tileProducts(
  row: Tile,
  column: Tile,
  memory: boolean,
  product: (kind: Kind, a: Tensor, b: Tensor) => Tensor,
): void {
  const similarity_RR = product('student', row.student_RC, column.student_CR);
  product('teacher', row.teacher_RD, column.teacher_DR).dispose();
  product('gradient', similarity_RR, column.student_RC);
  if (!memory && row !== column) product('gradient', row.student_CR, similarity_RR);
}

function bankTiles(banks_MD: readonly Tensor[]): Tile[] {
  const all_MD = ops.concat(banks_MD, 0);
  return tiles(all_MD, all_MD);
}

/** Equal runs of about 1024 rows; what doesn't fill one is left out, as only the rate counts. */
function tiles(student_NC: Tensor, teacher_ND: Tensor): Tile[] {
  const rows = student_NC.shape[0]!;
  const count = Math.max(1, Math.round(rows / TILE));
  const length = Math.floor(rows / count);
  return Array.from({ length: count }, (_, i) => {
    const student_RC = ops.rows(student_NC, i * length, length);
    const teacher_RD = ops.rows(teacher_ND, i * length, length);
    return {
      student_RC,
      student_CR: ops.transpose(student_RC, [1, 0]),
      teacher_RD,
      teacher_DR: ops.transpose(teacher_RD, [1, 0]),
    };
  });
}
