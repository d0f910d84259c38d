/** Things that stand in a street. */
import type { Camera } from './camera.js';
import type { Canvas, Surface } from './canvas.js';
import type { Colour } from './colour.js';
import type { Light } from './light.js';
import type { ShadowMask } from './shadows.js';

export interface Stage {
  readonly canvas: Canvas;
  readonly camera: Camera;
  readonly light: Light;
}

export interface Thing {
  /** Metres ahead; far things are painted first. */
  readonly z: number;
  shade?(mask: ShadowMask): void;
  paint(stage: Stage): void;
}

export function surface(colour: Colour, phase: number, grain = 0.15, texelsPerMetre = 20): Surface {
  return { colour, grain, texelsPerMetre, phase };
}

/** Brightness of a side that faces right (1) or left (-1). The sun is opposite the shadows. */
export function facing(light: Light, side: number): number {
  return side * light.sunX < 0 ? 1.08 : 0.45 + 0.5 * light.shadow;
}
