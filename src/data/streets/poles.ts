/** Lamp posts, sign posts, traffic lights, and the clutter that belongs to no class. */
import type { Draws } from '../../random/draws.js';
import { project, projectX, projectY } from './camera.js';
import { KEEP_LABEL, type Surface } from './canvas.js';
import { POLE, SIGN } from './classes.js';
import { between, type Colour, chance, drab, hsv, paint, pick } from './colour.js';
import { TILE } from './noise.js';
import { type Stage, surface, type Thing } from './thing.js';
import { IGNORE_LABEL } from '../types.js';

function post(
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

/** @param inward -1 or 1: the side of the road, where the arm reaches to. */
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
      const cable = [
        x,
        height,
        z,
        -x,
        height + 1,
        z + 6,
        -x,
        height + 1 - half * 2.5,
        z + 6,
        x,
        height - half * 2.5,
        z,
      ];
      canvas.polygon(project(camera, cable), surface([0.05, 0.05, 0.05], 0, 0), KEEP_LABEL, z);
    },
  };
}

export function signPost(draws: Draws, x: number, z: number): Thing {
  const form = pick(draws, ['disc', 'triangle', 'board', 'light'] as const);
  const height = between(draws, 2, 3.2);
  const size = form === 'board' ? between(draws, 0.35, 0.9) : between(draws, 0.26, 0.42);
  const phase = draws.integer(TILE);
  const look = surface(drab(draws, 0.1, 0.55), phase, 0.2);
  const rim = surface(chance(draws, 0.6) ? hsv(0, 0.8, 0.5) : paint(draws), phase, 0.1);
  const face = surface(chance(draws, 0.5) ? [0.75, 0.75, 0.75] : paint(draws), phase, 0.15);
  const bulb = surface(hsv(pick(draws, [0, 0.12, 0.36]), 0.9, 1.5), phase, 0);
  return {
    z,
    shade: (mask) => mask.wall(x - 0.1, z, x + 0.1, z, height),
    paint(stage) {
      const { canvas, camera } = stage;
      post(stage, x, z, height, 0.09, look);
      const column = projectX(camera, x, z);
      const row = projectY(camera, height, z);
      const s = Math.max((size * camera.focal) / z, 0.9);
      if (form === 'disc') {
        canvas.ellipse(column, row, s, s, rim, SIGN, z);
        canvas.ellipse(column, row, s * 0.7, s * 0.7, face, SIGN, z);
      } else if (form === 'triangle') {
        for (const [k, part] of [
          [1.15, rim],
          [0.65, face],
        ] as const) {
          canvas.polygon(
            [
              column,
              row - s * k,
              column + s * k,
              row + s * 0.75 * k,
              column - s * k,
              row + s * 0.75 * k,
            ],
            part,
            SIGN,
            z,
          );
        }
      } else if (form === 'board') {
        canvas.polygon(
          [
            column - s,
            row - s * 0.6,
            column + s,
            row - s * 0.6,
            column + s,
            row + s * 0.6,
            column - s,
            row + s * 0.6,
          ],
          rim,
          SIGN,
          z,
        );
        canvas.polygon(
          [
            column - s * 0.85,
            row - s * 0.4,
            column + s * 0.85,
            row - s * 0.4,
            column + s * 0.85,
            row + s * 0.1,
            column - s * 0.85,
            row + s * 0.1,
          ],
          face,
          SIGN,
          z,
        );
      } else {
        const box = surface([0.04, 0.05, 0.04], phase, 0.1);
        canvas.polygon(
          [
            column - s * 0.5,
            row - s * 1.4,
            column + s * 0.5,
            row - s * 1.4,
            column + s * 0.5,
            row + s * 1.4,
            column - s * 0.5,
            row + s * 1.4,
          ],
          box,
          SIGN,
          z,
        );
        canvas.ellipse(column, row + s * pick3(phase), s * 0.35, s * 0.35, bulb, SIGN, z);
      }
    },
  };
}

/** Which of the three lamps is on. */
function pick3(phase: number): number {
  return ((phase % 3) - 1) * 0.9;
}

/** Bins, boxes, barriers: in the way, and of no class. */
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
