/** Turns linear light into a camera's picture: haze, colour of the light, lens, sensor. */
import type { Draws } from '../../random/draws.js';
import type { Canvas } from './canvas.js';
import { between, chance } from './colour.js';
import type { Light } from './light.js';
import { whiteNoise } from './noise.js';

/** @returns uint8 [height, width, 3], sRGB-like. */
export function develop(draws: Draws, canvas: Canvas, light: Light): Uint8Array {
  const { height, width } = canvas;
  const dark = light.kind === 'night';
  const lens = {
    blur: between(draws, 0.2, 0.9) * (width / 256),
    motion: chance(draws, 0.15) ? between(draws, 0.5, 2) * (width / 256) : 0,
    vignette: between(draws, 0, 0.5),
    noise: between(draws, 0.008, 0.03) * (dark ? 2 : 1),
    chroma: between(draws, 0.3, 0.8),
    gamma: between(draws, 0.5, 0.75),
    offset: draws.integer(65536),
    skip: 1 + 2 * draws.integer(500),
  };
  expose(canvas, light);
  blurRows(canvas.rgb, height, width, lens.blur + lens.motion);
  blurColumns(canvas.rgb, height, width, lens.blur);
  const noise = whiteNoise();
  const curve = toneCurve(lens.gamma);
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const v = (y / height - 0.5) ** 2;
    for (let x = 0; x < width; x++) {
      const falloff = 1 - lens.vignette * (v + (x / width - 0.5) ** 2);
      const at = y * width + x;
      const grain = noise[(at * lens.skip + lens.offset) & 65535]! * lens.noise;
      for (let c = 0; c < 3; c++) {
        const own = noise[(at * 3 + c + lens.offset * 5) & 65535]! * lens.noise * lens.chroma;
        const light = canvas.rgb[at * 3 + c]! * falloff * CURVE_STEPS;
        const value = curve[light < CURVE_LAST ? light | 0 : CURVE_LAST]!;
        const level = (value + grain + own) * 255 + 0.5;
        rgb[at * 3 + c] = Math.max(0, Math.min(level, 255));
      }
    }
  }
  return rgb;
}

/** Entries of the tone curve per unit of light, and the index of the last one. */
const CURVE_STEPS = 4096;
const CURVE_LAST = 4 * CURVE_STEPS;

/** A table from light to brightness. Compresses highlights, as film does. */
function toneCurve(gamma: number): Float32Array {
  const curve = new Float32Array(CURVE_LAST + 1);
  for (let i = 0; i <= CURVE_LAST; i++) {
    const light = (i + 0.5) / CURVE_STEPS;
    curve[i] = (light < 0.6 ? light : 1 - 0.16 / (light - 0.2)) ** gamma;
  }
  return curve;
}

/** Applies exposure, the colour of the light, and haze. The sky already has its colour. */
function expose({ rgb, depth }: Canvas, light: Light): void {
  const { cast, skyHorizon, exposure, fog } = light;
  for (let i = 0; i < depth.length; i++) {
    const z = depth[i]!;
    const clear = z > 1e5 ? 1 : Math.exp(-fog * z);
    for (let c = 0; c < 3; c++) {
      const own = rgb[i * 3 + c]! * (z > 1e5 ? 1 : cast[c]!);
      rgb[i * 3 + c] = exposure * (own * clear + skyHorizon[c]! * (1 - clear));
    }
  }
}

/** Blurs by about `sigma` pixels with repeated three-tap smoothing. */
function blurRows(rgb: Float32Array, height: number, width: number, sigma: number): void {
  const rounds = Math.max(1, Math.round(sigma * sigma * 2));
  const side = Math.min((sigma * sigma) / (2 * rounds), 0.25);
  for (let y = 0; y < height; y++) {
    const row = rgb.subarray(y * width * 3, (y + 1) * width * 3);
    for (let round = 0; round < rounds; round++) smooth(row, 3, width, 3, side);
  }
}

function blurColumns(rgb: Float32Array, height: number, width: number, sigma: number): void {
  const rounds = Math.max(1, Math.round(sigma * sigma * 2));
  const side = Math.min((sigma * sigma) / (2 * rounds), 0.25);
  for (let round = 0; round < rounds; round++) smooth(rgb, width * 3, height, width * 3, side);
}

/** Smooths `lanes` interleaved lines of `length` values in place: x + side · (left - 2x + right). */
function smooth(
  values: Float32Array,
  lanes: number,
  length: number,
  stride: number,
  side: number,
): void {
  for (let lane = 0; lane < lanes; lane++) {
    let previous = values[lane]!;
    for (let i = 0; i < length; i++) {
      const at = i * stride + lane;
      const own = values[at]!;
      const next = i + 1 < length ? values[at + stride]! : own;
      values[at] = own + side * (previous - 2 * own + next);
      previous = own;
    }
  }
}
