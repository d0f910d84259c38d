/**
 * Divides the matrix of similarities between all rows of a group of images into tiles.
 *
 * The matrix is symmetric, so only tiles on or above the diagonal are formed: each tile below it is
 * the transpose of one above.
 */

/** Rows [begin, begin + count) of one image; begin counts from the group's first row. */
export interface RowRange {
  readonly begin: number;
  readonly count: number;
  readonly image: number;
}

export interface SimilarityTile {
  readonly rows: RowRange;
  readonly columns: RowRange;
  /** Indices of the blocks that `rows` and `columns` lie in. */
  readonly rowBlock: number;
  readonly columnBlock: number;
  /** Whether rows and columns are the same range; the tile then contains each pair twice. */
  readonly isDiagonal: boolean;
}

/** Blocks of at most `side` rows; no block spans two images. */
export function rowBlocks(images: number, rowsPerImage: number, side: number): RowRange[] {
  const blocks: RowRange[] = [];
  for (let image = 0; image < images; image++) {
    for (let at = 0; at < rowsPerImage; at += side) {
      const count = Math.min(side, rowsPerImage - at);
      blocks.push({ begin: image * rowsPerImage + at, count, image });
    }
  }
  return blocks;
}

/**
 * The tiles of one column block, each with at most `tileRows` rows: first all rows above the block
 * against the whole block, then, inside the block, each piece of rows against itself and against the
 * rest of the block.
 */
export function tilesOfBlock(
  blocks: readonly RowRange[],
  columnBlock: number,
  tileRows: number,
): SimilarityTile[] {
  const columns = blocks[columnBlock]!;
  const tiles: SimilarityTile[] = [];
  for (const [rowBlock, above] of blocks.slice(0, columnBlock).entries()) {
    for (const rows of pieces(above, tileRows)) {
      tiles.push({ rows, columns, rowBlock, columnBlock, isDiagonal: false });
    }
  }
  const inside = { rowBlock: columnBlock, columnBlock };
  for (const rows of pieces(columns, tileRows)) {
    tiles.push({ rows, columns: rows, ...inside, isDiagonal: true });
    const begin = rows.begin + rows.count;
    const count = columns.begin + columns.count - begin;
    if (count > 0) {
      const rest = { ...columns, begin, count };
      tiles.push({ rows, columns: rest, ...inside, isDiagonal: false });
    }
  }
  return tiles;
}

function pieces(range: RowRange, size: number): RowRange[] {
  const result: RowRange[] = [];
  for (let at = 0; at < range.count; at += size) {
    const count = Math.min(size, range.count - at);
    result.push({ begin: range.begin + at, count, image: range.image });
  }
  return result;
}
