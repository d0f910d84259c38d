/** How much of a similarity matrix is in memory at once. */

export interface Tiling {
  /** Budget for all tiles that are alive at one time. */
  readonly lossMemoryMiB: number;
  /** Overrides the choice: rows of a tile. */
  readonly tileRows?: number | undefined;
}

/**
 * Of one tile, alive together: the two networks' similarities, the gradient, and what it's composed of
 * where a device has no kernels for it.
 */
const LIVE_MATRICES = 7;

/**
 * Elements of a tile beyond which nothing is gained: the products have reached their rate, and what
 * goes over the tile element by element loses the cache.
 */
const LARGEST_TILE = 2 ** 21;

const FLOAT32_BYTES = 4;

/** Rows of a tile of `columns` float32 columns: at least 1, at most `rows`. */
export function tileRowCount(rows: number, columns: number, tiling: Tiling): number {
  const wanted = tiling.tileRows ?? Math.floor(tileElements(tiling) / columns);
  return Math.min(rows, Math.max(1, wanted));
}

/**
 * Rows of a block, such that a tile of that many columns and rows keeps to the budget. Where the
 * rows of a tile are overridden a block is all there is.
 */
export function blockSide(rows: number, tiling: Tiling): number {
  if (tiling.tileRows !== undefined) return rows;
  return Math.min(rows, Math.max(1, Math.floor(Math.sqrt(tileElements(tiling)))));
}

/** How many matrices of `elements` float32 may be kept beside the tile that is worked on. */
export function keptMatrices(elements: number, tiling: Tiling): number {
  const bytes = tiling.lossMemoryMiB * 2 ** 20 - LIVE_MATRICES * FLOAT32_BYTES * elements;
  return Math.max(0, Math.floor(bytes / (FLOAT32_BYTES * elements)));
}

/** At most half of the budget is worked on; the rest is for tiles that are kept. */
function tileElements({ lossMemoryMiB }: Tiling): number {
  const bytes = (lossMemoryMiB * 2 ** 20) / 2;
  return Math.min(LARGEST_TILE, Math.floor(bytes / (LIVE_MATRICES * FLOAT32_BYTES)));
}
