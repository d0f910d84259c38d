/** Lamp posts, and clutter without a class. */
import type { Draws } from '../../random/draws.js';
import { project, projectX, projectY } from './camera.js';
import { KEEP_LABEL, type Surface } from './canvas.js';
import { POLE } from './classes.js';
import { between, type Colour, chance, drab, paint } from './colour.js';
import { TILE } from './noise.js';
import { type Stage, surface, type Thing } from './thing.js';
import { IGNORE_LABEL } from '../types.js';

export function post(
  stage: Stage,
  x: number,
  z: number,
  height: number,
  thick: number,
  look: Surface,
): void {
  const half = Math.max(thick / 2, (0.55 * z) / stage.camera.focal);
  const outline = [x - half, 0, z, x + half, 0, z, x + half, height, z, x - half, height, z];
  stage.canvas.polygon(project(stage.camera, outline), look, POLE, z);
}

/** @param inward -1 or 1: the direction of the arm, towards the road. */
export function lampPost(draws: Draws, x: number, z: number, inward: number): Thing {
  const height = between(draws, 4, 9);
  const thick = between(draws, 0.1, 0.22);
  const arm = chance(draws, 0.6) ? between(draws, 0.6, 2.4) * inward : 0;
  const look = surface(drab(draws, 0.06, 0.6), draws.integer(TILE), 0.25);
  const wires = chance(draws, 0.3);
  return {
    z,
    shade: (mask) => mask.wall(x - thick, z, x + thick, z, height),
    paint(stage) {
      const { camera, canvas, light } = stage;
      post(stage, x, z, height, thick, look);
      const half = Math.max(0.06, (0.5 * z) / camera.focal);
      const up = height + 0.25;
      const bar = [
        x,
        height - half,
        z,
        x + arm,
        up - half,
        z,
        x + arm,
        up + half,
        z,
        x,
        height + half,
        z,
      ];
      if (arm !== 0) canvas.polygon(project(camera, bar), look, POLE, z);
      const glow: Colour = light.litWindows > 0.1 ? [3, 2.4, 1.5] : look.colour;
      const lamp = surface(glow, 3, 0);
      const radius = Math.max((0.25 * camera.focal) / z, 0.6);
      canvas.ellipse(
        projectX(camera, x + arm, z),
        projectY(camera, up, z),
        radius,
        radius * 0.5,
        lamp,
        POLE,
        z,
      );
      if (!wires) return;
      const lower = height - half * 2.5;
      const cable = [x, height, z, -x, height + 1, z + 6, -x, lower + 1, z + 6, x, lower, z];
      canvas.polygon(project(camera, cable), surface([0.05, 0.05, 0.05], 0, 0), KEEP_LABEL, z);
    },
  };
}

/** Bins, boxes, barriers: obstacles without a class. */
export function clutter(draws: Draws, x: number, z: number): Thing {
  const half = between(draws, 0.2, 0.7);
  const height = between(draws, 0.4, 1.2);
  const look = {
    ...surface(paint(draws), draws.integer(TILE), 0.3),
    topLight: 1.1,
    bottomLight: 0.7,
  };
  return {
    z,
    shade: (mask) => mask.wall(x - half, z, x + half, z, height),
    paint({ canvas, camera }) {
      const outline = [x - half, 0, z, x + half, 0, z, x + half, height, z, x - half, height, z];
      canvas.polygon(project(camera, outline), look, IGNORE_LABEL, z);
    },
  };
}
