/** One street scene from one stream of draws. */
import type { Draws } from '../../random/draws.js';
import { IGNORE_LABEL, type Sample } from '../types.js';
import { drawCamera } from './camera.js';
import { Canvas } from './canvas.js';
import { between, chance, drab, paint } from './colour.js';
import { develop } from './finish.js';
import { paintGround, paintSky } from './ground.js';
import { drawThings } from './layout.js';
import { drawLight } from './light.js';
import { TILE } from './noise.js';
import { ShadowMask } from './shadows.js';
import { drawStreet } from './street.js';
import { surface } from './thing.js';

/** Part of the dataset's digest: increment it with every change to the drawings. */
export const GENERATOR_VERSION = 2;

/** Things nearer than this would fill the picture. */
const NEAREST_THING = 3.2;

export function renderScene(draws: Draws, height: number, width: number): Sample {
  const camera = drawCamera(draws, height, width);
  const light = drawLight(draws);
  const street = drawStreet(draws);
  const things = drawThings(draws, street).sort((a, b) => b.z - a.z);
  const canvas = new Canvas(height, width, camera.focal);
  const mask = new ShadowMask(camera, light);
  for (const thing of things) thing.shade?.(mask);
  const phase = draws.integer(TILE);
  paintSky(canvas, camera, light, phase);
  paintGround(canvas, camera, street, mask.factor, phase);
  for (const thing of things) {
    if (thing.z > NEAREST_THING) thing.paint({ canvas, camera, light });
  }
  paintBonnet(draws, canvas);
  const rgb = develop(draws, canvas, light);
  ignoreBorder(draws, canvas);
  return { height, width, rgb, labels: canvas.labels };
}

/** The front of the car that carries the camera. */
function paintBonnet(draws: Draws, canvas: Canvas): void {
  const visible = chance(draws, 0.35);
  const rise = between(draws, 0.05, 0.13) * canvas.height;
  const colour = chance(draws, 0.5) ? drab(draws, 0.03, 0.5) : paint(draws);
  const look = { ...surface(colour, draws.integer(TILE), 0.3, 2), topLight: 1.3, bottomLight: 0.5 };
  const middle = canvas.width * between(draws, 0.42, 0.58);
  if (!visible) return;
  canvas.ellipse(
    middle,
    canvas.height + rise,
    canvas.width * 0.62,
    rise * 2,
    look,
    IGNORE_LABEL,
    1,
  );
}

/** Leaves a rim without labels, as in rectified pictures. */
function ignoreBorder(draws: Draws, { labels, height, width }: Canvas): void {
  const rim = Math.round(between(draws, 0, 0.016) * width);
  for (let y = 0; y < height; y++) {
    labels.fill(IGNORE_LABEL, y * width, y * width + rim);
    labels.fill(IGNORE_LABEL, (y + 1) * width - rim, (y + 1) * width);
  }
}
