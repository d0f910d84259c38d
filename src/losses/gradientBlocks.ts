/**
 * The gradient of the pairwise KL, accumulated in place over the tiles.
 *
 * A tile's gradient H [R, M] adds H F to its rows and H' F to its columns. The latter is accumulated
 * transposed, as F' H, because products with a transposed operand run at half the rate.
 *
 * R rows and M columns per tile, C channels, B rows per block.
 */
import { Accumulator, ops, scalar, scope, type Tensor } from '../tensor/index.js';
import type { RowRange, SimilarityTile } from './similarityTiles.js';

export class GradientBlocks {
  readonly #blocks: readonly RowRange[];
  /** [R, C], keyed by the tile's first row. */
  readonly #rows = new Map<number, Accumulator>();
  /** [C, B], keyed by block. */
  readonly #columns = new Map<number, Accumulator>();

  constructor(blocks: readonly RowRange[]) {
    this.#blocks = blocks;
  }

  /** Adds to the gradient of a tile's rows. */
  addRows({ rows }: SimilarityTile, part_RC: Tensor): void {
    addTo(this.#rows, rows.begin, part_RC);
  }

  /** Adds to the gradient of a tile's columns, which always reach to the end of their block. */
  addColumns({ columns, columnBlock }: SimilarityTile, part_CM: Tensor): void {
    const before = columns.begin - this.#blocks[columnBlock]!.begin;
    const fill = [
      [0, 0],
      [before, 0],
    ] as const;
    scope(() => addTo(this.#columns, columnBlock, before === 0 ? part_CM : ops.pad(part_CM, fill)));
  }

  /** rowScale * row sums + columnScale * column sums, float32 [P, C]; ends the accumulation. */
  take(rowScale: number, columnScale: number): Tensor {
    return scope(() => {
      const pieces = [...this.#rows].sort(([a], [b]) => a - b);
      const blocks = this.#blocks.map(({ begin, count }, block) =>
        scope(() => {
          const own = pieces.filter(([at]) => at >= begin && at < begin + count);
          const rows_BC = ops.concat(
            own.map(([, sum]) => sum.take()),
            0,
          );
          const scaled_BC = ops.mul(rows_BC, scalar(rowScale));
          const columns = this.#columns.get(block);
          if (columns === undefined) return scaled_BC;
          const columns_BC = ops.transpose(columns.take(), [1, 0]);
          return ops.add(scaled_BC, ops.mul(columns_BC, scalar(columnScale)));
        }),
      );
      return ops.concat(blocks, 0);
    });
  }

  dispose(): void {
    for (const sums of [this.#rows, this.#columns]) {
      for (const sum of sums.values()) sum.dispose();
    }
  }
}

function addTo(sums: Map<number, Accumulator>, key: number, part: Tensor): void {
  const sum = sums.get(key);
  if (sum === undefined) sums.set(key, new Accumulator(part));
  else sum.add(part);
}
