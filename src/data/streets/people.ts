/** Pedestrians, cyclists, and parked bicycles. */
import type { Draws } from '../../random/draws.js';
import { projectX, projectY } from './camera.js';
import type { Surface } from './canvas.js';
import { BICYCLE, PERSON } from './classes.js';
import { between, chance, drab, hsv, paint } from './colour.js';
import { TILE } from './noise.js';
import { type Stage, surface, type Thing } from './thing.js';

/** Paints in metres right of and above a point on the ground, facing the camera. */
interface Easel {
  shape(points: readonly number[], look: Surface): void;
  disc(x: number, y: number, radiusX: number, radiusY: number, look: Surface): void;
  /** A bar; `width` in metres, at least about a pixel. */
  bar(x0: number, y0: number, x1: number, y1: number, width: number, look: Surface): void;
}

function easel({ canvas, camera }: Stage, x: number, z: number, label: number): Easel {
  const scale = camera.focal / z;
  const column = projectX(camera, x, z);
  const row = projectY(camera, 0, z);
  const shape = (points: readonly number[], look: Surface) => {
    const pixels = points.map((p, i) => (i % 2 === 0 ? column + p * scale : row - p * scale));
    canvas.polygon(pixels, look, label, z);
  };
  return {
    shape,
    disc(dx, dy, radiusX, radiusY, look) {
      const least = 0.55 / scale;
      const rx = Math.max(radiusX, least) * scale;
      const ry = Math.max(radiusY, least) * scale;
      canvas.ellipse(column + dx * scale, row - dy * scale, rx, ry, look, label, z);
    },
    bar(x0, y0, x1, y1, width, look) {
      const half = Math.max(width / 2, 0.45 / scale);
      const length = Math.hypot(x1 - x0, y1 - y0) || 1;
      const nx = (-(y1 - y0) / length) * half;
      const ny = ((x1 - x0) / length) * half;
      shape([x0 + nx, y0 + ny, x1 + nx, y1 + ny, x1 - nx, y1 - ny, x0 - nx, y0 - ny], look);
    },
  };
}

interface Clothes {
  readonly skin: Surface;
  readonly hair: Surface;
  readonly coat: Surface;
  readonly legs: Surface;
  readonly bag: Surface;
}

function drawClothes(draws: Draws): Clothes {
  const phase = draws.integer(TILE);
  const skin = hsv(
    between(draws, 0.04, 0.09),
    between(draws, 0.3, 0.55),
    between(draws, 0.18, 0.75),
  );
  return {
    skin: surface(skin, phase),
    hair: surface(drab(draws, 0.02, 0.5), phase),
    coat: { ...surface(paint(draws), phase, 0.35, 30), topLight: 1.15, bottomLight: 0.8 },
    legs: surface(chance(draws, 0.7) ? drab(draws, 0.03, 0.4) : paint(draws), phase, 0.3, 30),
    bag: surface(paint(draws), phase),
  };
}

export function person(draws: Draws, x: number, z: number): Thing {
  const clothes = drawClothes(draws);
  const tall = chance(draws, 0.15) ? between(draws, 1, 1.4) : between(draws, 1.5, 1.95);
  const wide = tall * between(draws, 0.11, 0.16);
  const stride = between(draws, -0.28, 0.28) * tall;
  const swing = between(draws, -0.2, 0.2) * tall;
  const skirt = chance(draws, 0.25);
  const bag = chance(draws, 0.35) ? (chance(draws, 0.5) ? 1 : -1) : 0;
  return {
    z,
    shade(mask) {
      mask.wall(x - wide, z, x + wide, z, tall);
      mask.contact([x - wide, z - 0.2, x + wide, z - 0.2, x + wide, z + 0.2, x - wide, z + 0.2]);
    },
    paint(stage) {
      const on = easel(stage, x, z, PERSON);
      const hip = tall * 0.48;
      const leg = wide * 0.75;
      on.bar(-wide * 0.4, hip, -wide * 0.4 - stride * 0.6, 0, leg, clothes.legs);
      on.bar(wide * 0.4, hip, wide * 0.4 + stride * 0.6, 0, leg, clothes.legs);
      if (skirt) {
        const hem = tall * 0.27;
        on.shape([-wide, hip, wide, hip, wide * 1.4, hem, -wide * 1.4, hem], clothes.coat);
      }
      const shoulder = tall * 0.83;
      on.bar(-wide * 1.05, shoulder - 0.05, -wide * 1.15 - swing, hip, wide * 0.45, clothes.coat);
      on.bar(wide * 1.05, shoulder - 0.05, wide * 1.15 + swing, hip, wide * 0.45, clothes.coat);
      const waist = wide * 0.85;
      on.shape(
        [-wide * 1.1, shoulder, wide * 1.1, shoulder, waist, hip - 0.03, -waist, hip - 0.03],
        clothes.coat,
      );
      if (bag !== 0) on.disc(bag * wide * 1.2, tall * 0.52, wide * 0.6, wide * 0.8, clothes.bag);
      on.bar(0, shoulder, 0, tall * 0.9, wide * 0.5, clothes.skin);
      on.disc(0, tall * 0.925, tall * 0.055, tall * 0.075, clothes.skin);
      on.disc(0, tall * 0.955, tall * 0.06, tall * 0.05, clothes.hair);
    },
  };
}

/** @param ridden with a rider. */
export function bicycle(draws: Draws, x: number, z: number, ridden: boolean): Thing {
  const clothes = drawClothes(draws);
  const frame = surface(paint(draws), draws.integer(TILE), 0.1);
  const tyre = surface(drab(draws, 0.02, 0.15), draws.integer(TILE), 0.1);
  // Seen from the side, or turned towards the camera and so narrower.
  const turn = between(draws, 0.3, 1) * (chance(draws, 0.5) ? 1 : -1);
  const wheel = 0.34;
  const base = 0.53 * turn;
  return {
    z,
    shade(mask) {
      mask.wall(x - base, z, x + base, z, ridden ? 1.6 : 0.9);
    },
    paint(stage) {
      const on = easel(stage, x, z, BICYCLE);
      for (const hub of [-base, base]) {
        for (let i = 0; i < 14; i++) {
          const a = (i / 14) * 2 * Math.PI;
          const b = ((i + 1) / 14) * 2 * Math.PI;
          const squeeze = wheel * Math.max(Math.abs(turn), 0.2);
          on.bar(
            hub + squeeze * Math.cos(a),
            wheel + wheel * Math.sin(a),
            hub + squeeze * Math.cos(b),
            wheel + wheel * Math.sin(b),
            0.09,
            tyre,
          );
        }
      }
      const pedal = -0.08 * turn;
      const saddle = -0.25 * turn;
      const bar = 0.38 * turn;
      on.bar(-base, wheel, pedal, 0.3, 0.08, frame);
      on.bar(-base, wheel, saddle, 0.85, 0.07, frame);
      on.bar(pedal, 0.3, saddle, 0.92, 0.08, frame);
      on.bar(pedal, 0.3, bar, 0.8, 0.08, frame);
      on.bar(saddle, 0.8, bar, 0.82, 0.08, frame);
      on.bar(base, wheel, bar, 1, 0.08, frame);
      on.bar(bar - 0.12 * turn, 1.02, bar + 0.06, 1.02, 0.05, tyre);
      on.bar(saddle - 0.1, 0.95, saddle + 0.1, 0.95, 0.07, tyre);
      if (!ridden) return;
      const rider = easel(stage, x, z, PERSON);
      const knee = 0.1 * turn;
      rider.bar(saddle, 0.98, knee, 0.72, 0.17, clothes.legs);
      rider.bar(knee, 0.72, pedal, 0.25, 0.13, clothes.legs);
      rider.bar(saddle, 0.98, 0.05 * turn, 1.5, 0.36, clothes.coat);
      rider.bar(0.03 * turn, 1.45, bar, 1.05, 0.11, clothes.coat);
      rider.disc(0.1 * turn, 1.68, 0.1, 0.13, clothes.skin);
      rider.disc(0.08 * turn, 1.75, 0.11, 0.09, clothes.hair);
    },
  };
}
