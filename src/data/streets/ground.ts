/** Paints sky and ground pixel by pixel, as the backdrop for things. */
import type { Camera } from './camera.js';
import type { Canvas } from './canvas.js';
import { LANE_MARKING, ROAD, SIDEWALK, SKY } from './classes.js';
import type { Colour } from './colour.js';
import type { Light } from './light.js';
import { fractalNoise, TILE } from './noise.js';
import { groundLabel, type Street } from './street.js';

const MASK = TILE - 1;
const FARTHEST = 400;

/** @param phase offset of the textures in the tile. */
export function paintSky(canvas: Canvas, camera: Camera, light: Light, phase: number): void {
  const noise = fractalNoise();
  const last = Math.min(Math.ceil(camera.horizon), canvas.height);
  const cover = 1.1 - 1.5 * light.clouds;
  for (let y = 0; y < last; y++) {
    const up = (camera.horizon - y) / camera.focal;
    const share = Math.min(up * 1.6, 1) ** 0.6;
    // Clouds lie in a plane overhead, so they become flat and small towards the horizon.
    const far = 14 / (up + 0.12);
    for (let x = 0; x < canvas.width; x++) {
      const across = (x - camera.vanish) / camera.focal;
      const u = (across * far + phase) & MASK;
      const v = (far * 2 + phase * 3) & MASK;
      const cloud = Math.min(Math.max((noise[v * TILE + u]! - cover) * 1.6, 0), 0.85);
      const at = y * canvas.width + x;
      for (let c = 0; c < 3; c++) {
        const top = light.skyTop[c]!;
        const clear = light.skyHorizon[c]! + (top - light.skyHorizon[c]!) * share;
        const white = light.skyHorizon[c]! * 0.8 + top * 0.25;
        canvas.rgb[at * 3 + c] = clear + (white - clear) * cloud;
      }
      canvas.labels[at] = SKY;
    }
  }
}

/**
 * @param shadow factor of the light, per pixel of the canvas.
 * @param phase offset of the textures in the tile.
 */
export function paintGround(
  canvas: Canvas,
  camera: Camera,
  street: Street,
  shadow: Float32Array,
  phase: number,
): void {
  const noise = fractalNoise();
  const first = Math.max(Math.ceil(camera.horizon), 0);
  for (let y = first; y < canvas.height; y++) {
    const z = Math.min((camera.focal * camera.eye) / (y + 0.5 - camera.horizon), FARTHEST);
    const detail = 1 / (1 + z * 0.06);
    const bend = camera.bend * z * z;
    for (let column = 0; column < canvas.width; column++) {
      const x = ((column + 0.5 - camera.vanish) * z) / camera.focal - bend;
      const fine = noise[((z * 9 + phase) & MASK) * TILE + ((x * 9 + phase * 5) & MASK)]! * detail;
      const coarse = noise[((z * 1.3 + phase * 2) & MASK) * TILE + ((x * 2.2 + phase) & MASK)]!;
      const label = groundLabel(street, x, z, 0.5 + 0.6 * fine);
      const colour = groundColour(street, label, x, coarse);
      let shade = 1 + 0.28 * fine + 0.16 * coarse;
      if (label === SIDEWALK) shade *= 1 - 0.3 * detail * onSeam(x, z, street.slab);
      const at = y * canvas.width + column;
      shade *= shadow[at]!;
      canvas.rgb[at * 3] = colour[0] * shade;
      canvas.rgb[at * 3 + 1] = colour[1] * shade;
      canvas.rgb[at * 3 + 2] = colour[2] * shade;
      canvas.labels[at] = label;
      canvas.depth[at] = z;
    }
  }
}

function groundColour(street: Street, label: number, x: number, coarse: number): Colour {
  if (label === ROAD) return coarse > 0.42 ? street.patch : street.asphalt;
  if (label === LANE_MARKING) return street.marking;
  if (label !== SIDEWALK) return street.grass;
  const fromKerb = Math.min(Math.abs(x - street.roadLeft), Math.abs(x - street.roadRight));
  return fromKerb < 0.22 ? street.kerb : street.paving;
}

/** 1 on the joint between two slabs. */
function onSeam(x: number, z: number, slab: number): number {
  const u = Math.abs(x / slab) % 1;
  const v = (z / slab) % 1;
  return u < 0.08 || v < 0.08 ? 1 : 0;
}
