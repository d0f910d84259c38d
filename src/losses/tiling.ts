/** How many rows of a similarity matrix are in memory at once. */

export interface Tiling {
  /** Budget for all tiles that are alive at one time. */
  readonly lossMemoryMiB: number;
  /** Overrides the choice: rows of a tile. */
  readonly tileRows?: number | undefined;
}

/** Similarities, distributions and gradients of one tile that are alive together. */
const LIVE_MATRICES = 4;

/**
 * Beyond this size a tile gains nothing in the matrix products and loses the cache in everything
 * that goes over it element by element.
 */
const LARGEST_TILE_BYTES = 8 * 2 ** 20;

/** Rows of a tile of `columns` float32 columns: at least 1, at most `rows`. */
export function tileRowCount(rows: number, columns: number, tiling: Tiling): number {
  if (tiling.tileRows !== undefined) return Math.min(rows, Math.max(1, tiling.tileRows));
  const rowBytes = 4 * columns;
  const budgetBytes = (tiling.lossMemoryMiB * 2 ** 20) / LIVE_MATRICES;
  const fitting = Math.floor(Math.min(budgetBytes, LARGEST_TILE_BYTES) / rowBytes);
  return Math.min(rows, Math.max(1, fitting));
}
