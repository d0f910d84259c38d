/**
 * How the similarity matrix of all rows with all rows of a group of images is cut into tiles.
 *
 * The matrix is symmetric, so only tiles on or above the diagonal are formed: a tile below it is the
 * transpose of one above.
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
  /** Rows and columns are the same: each pair of them is in the tile twice. */
  readonly isDiagonal: boolean;
}

/** Blocks of at most `side` rows, none across images. */
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
 * The tiles of one column block, with at most `tileRows` rows each: all rows above the block against
 * the whole block, then inside the block each piece of rows against itself and against what follows.
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
