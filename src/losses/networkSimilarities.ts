/**
 * One network's side of the pairwise KL: its similarities, computed tile by tile, and their
 * normalisers.
 *
 * P rows in total, C channels; R rows and M columns per tile, B rows per block.
 */
import {
  float32,
  ops,
  readFloat32,
  scalar,
  scope,
  similarityTile,
  type Tensor,
} from '../tensor/index.js';
import type { RowRange, SimilarityTile } from './similarityTiles.js';

export interface NetworkOptions {
  readonly blocks: readonly RowRange[];
  readonly images: number;
  /** Divides the similarities. */
  readonly temperature: number;
  /** Number of tiles that stay in memory from the first pass to the second. */
  readonly keptTiles: number;
  /** true: the columns of all blocks stay in memory; false: those of one block at a time. */
  readonly keepsColumns: boolean;
}

export class NetworkSimilarities {
  readonly #rows_PC: Tensor;
  readonly #options: NetworkOptions;
  /** The sum of exp(similarity) for row r over image j is at r * images + j. Double precision. */
  readonly #sums: Float64Array;
  readonly #columns = new Map<number, Tensor>();
  readonly #kept = new Map<SimilarityTile, Tensor>();

  /** @param rows_PC unit rows, images in order; the caller keeps ownership */
  constructor(rows_PC: Tensor, options: NetworkOptions) {
    this.#rows_PC = rows_PC;
    this.#options = options;
    this.#sums = new Float64Array(rows_PC.shape[0]! * options.images);
  }

  rows({ begin, count }: RowRange): Tensor {
    return ops.rows(this.#rows_PC, begin, count);
  }

  /** The rows of a range inside a block, transposed and divided by the temperature: [C, count]. */
  columns(range: RowRange, block: number): Tensor {
    const { begin, count } = this.#options.blocks[block]!;
    const whole_CB = this.#blockColumns(block);
    if (range.count === count) return whole_CB;
    const channels = whole_CB.shape[0]!;
    return ops.slice(whole_CB, [0, range.begin - begin], [channels, range.count]);
  }

  /**
   * First pass: adds a tile to the normalisers of its rows and, because the matrix is symmetric, of
   * its columns.
   */
  normalise(tile: SimilarityTile): void {
    scope(() => {
      const similarity_RM = this.#similarity(tile);
      const { rows_R, columns_M } = similarityTile.expSums(similarity_RM);
      this.#add(tile.rows, tile.columns.image, rows_R);
      if (!tile.isDiagonal) this.#add(tile.columns, tile.rows.image, columns_M);
      if (this.#kept.size < this.#options.keptTiles) this.#kept.set(tile, similarity_RM.hold());
    });
  }

  /** Second pass: lends a tile's similarities [R, M] to `use`. Call once per tile. */
  lend<T>(tile: SimilarityTile, use: (similarity_RM: Tensor) => T): T {
    const kept = this.#kept.get(tile);
    if (kept === undefined) return scope(() => use(this.#similarity(tile)));
    try {
      return use(kept);
    } finally {
      this.#kept.delete(tile);
      kept.free();
    }
  }

  /** 1 / (sum of exp over an image) for each row of a range: float32 [count]. */
  reciprocals({ begin, count }: RowRange, image: number): Tensor {
    const { images } = this.#options;
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = 1 / this.#sums[(begin + i) * images + image]!;
    return float32(values, [count]);
  }

  /** Sum of the logarithms of all normalisers. */
  sumOfLogs(): number {
    return this.#sums.reduce((total, sum) => total + Math.log(sum), 0);
  }

  /** Frees the tensors that are kept between calls. */
  dispose(): void {
    for (const tensor of [...this.#columns.values(), ...this.#kept.values()]) tensor.free();
    this.#columns.clear();
    this.#kept.clear();
  }

  #similarity({ rows, columns, columnBlock }: SimilarityTile): Tensor {
    return scope(() => ops.matMul(this.rows(rows), this.columns(columns, columnBlock)));
  }

  #blockColumns(block: number): Tensor {
    const known = this.#columns.get(block);
    if (known !== undefined) return known;
    if (!this.#options.keepsColumns) {
      for (const other of this.#columns.values()) other.free();
      this.#columns.clear();
    }
    const made_CB = scope(() => {
      const scaled_BC = ops.mul(
        this.rows(this.#options.blocks[block]!),
        scalar(1 / this.#options.temperature),
      );
      return ops.transpose(scaled_BC, [1, 0]);
    }).hold();
    this.#columns.set(block, made_CB);
    return made_CB;
  }

  #add({ begin, count }: RowRange, image: number, sums: Tensor): void {
    const { images } = this.#options;
    const values = readFloat32(sums);
    for (let i = 0; i < count; i++) this.#sums[(begin + i) * images + image]! += values[i]!;
  }
}
