/** Decides how much of a similarity matrix is in memory at once. */

export interface Tiling {
  /** Budget for all tiles that are in memory at the same time. */
  readonly lossMemoryMiB: number;
  /** Rows per tile; overrides the choice made from the budget. */
  readonly tileRows?: number | undefined;
}

/**
 * Matrices of a tile's size that are in memory at the same time: the two networks' similarities, the
 * gradient, and the gradient's intermediates on devices without kernels for it.
 */
const LIVE_MATRICES = 7;

/**
 * Elements per tile beyond which nothing is gained: matrix products have reached their full rate,
 * and elementwise passes no longer fit into the cache.
 */
const LARGEST_TILE = 2 ** 21;

const FLOAT32_BYTES = 4;

/** Rows per tile with `columns` float32 columns: at least 1, at most `rows`. */
export function tileRowCount(rows: number, columns: number, tiling: Tiling): number {
  const wanted = tiling.tileRows ?? Math.floor(tileElements(tiling) / columns);
  return Math.min(rows, Math.max(1, wanted));
}

/**
 * Rows per block, chosen so that a square tile of that size stays within the budget. If `tileRows`
 * is given, one block holds all rows.
 */
export function blockSide(rows: number, tiling: Tiling): number {
  if (tiling.tileRows !== undefined) return rows;
  return Math.min(rows, Math.max(1, Math.floor(Math.sqrt(tileElements(tiling)))));
}

/** How many matrices of `elements` float32 fit into the budget beside the tile being computed. */
export function keptMatrices(elements: number, tiling: Tiling): number {
  const bytes = tiling.lossMemoryMiB * 2 ** 20 - LIVE_MATRICES * FLOAT32_BYTES * elements;
  return Math.max(0, Math.floor(bytes / (FLOAT32_BYTES * elements)));
}

/** At most half of the budget is for the tile being computed; the rest is for kept tiles. */
function tileElements({ lossMemoryMiB }: Tiling): number {
  const bytes = (lossMemoryMiB * 2 ** 20) / 2;
  return Math.min(LARGEST_TILE, Math.floor(bytes / (LIVE_MATRICES * FLOAT32_BYTES)));
}
