/** Tiles of noise, the source of all textures. */
import { drawsFor } from '../../random/draws.js';

/** Edge of a tile in texels; a power of two, so that wrapping is a mask. */
export const TILE = 256;
const OCTAVES = 6;

function fractalTile(): Float32Array {
  const tile = new Float32Array(TILE * TILE);
  for (let octave = 0; octave < OCTAVES; octave++) {
    const cells = 8 << octave;
    const corners = new Float32Array(cells * cells);
    drawsFor(0, 'synthetic', octave).fillUniform(corners, -1, 1);
    addBilinear(tile, corners, cells, 0.8 * 0.75 ** octave);
  }
  return tile;
}

/** Adds a grid of `cells` by `cells` corners, interpolated over the tile and wrapped at its edges. */
function addBilinear(
  tile: Float32Array,
  corners: Float32Array,
  cells: number,
  weight: number,
): void {
  const step = TILE / cells;
  for (let y = 0; y < TILE; y++) {
    const row = Math.floor(y / step);
    const fy = y / step - row;
    const above = row * cells;
    const below = ((row + 1) % cells) * cells;
    for (let x = 0; x < TILE; x++) {
      const left = Math.floor(x / step);
      const fx = x / step - left;
      const right = (left + 1) % cells;
      const upper = corners[above + left]! * (1 - fx) + corners[above + right]! * fx;
      const lower = corners[below + left]! * (1 - fx) + corners[below + right]! * fx;
      tile[y * TILE + x]! += weight * (upper * (1 - fy) + lower * fy);
    }
  }
}

let fractal: Float32Array | undefined;
let white: Float32Array | undefined;

/** Fractal noise, [256, 256], mean 0, about -1 to 1, periodic. */
export function fractalNoise(): Float32Array {
  fractal ??= fractalTile();
  return fractal;
}

/** Normal noise, [65536], mean 0, deviation 1. */
export function whiteNoise(): Float32Array {
  if (!white) {
    white = new Float32Array(TILE * TILE);
    drawsFor(0, 'synthetic', OCTAVES).fillNormal(white, 0, 1);
  }
  return white;
}
