/** Traffic signs, boards and traffic lights on their posts. */
import type { Draws } from '../../random/draws.js';
import { projectX, projectY } from './camera.js';
import type { Canvas, Surface } from './canvas.js';
import { SIGN } from './classes.js';
import { between, chance, drab, hsv, paint, pick } from './colour.js';
import { TILE } from './noise.js';
import { post } from './poles.js';
import { surface, type Thing } from './thing.js';

type Form = 'disc' | 'triangle' | 'board' | 'light';

interface Face {
  readonly form: Form;
  readonly rim: Surface;
  readonly field: Surface;
  readonly bulb: Surface;
  /** Which lamp of a traffic light is on: -1, 0 or 1. */
  readonly lamp: number;
}

export function signPost(draws: Draws, x: number, z: number): Thing {
  const form = pick<Form>(draws, ['disc', 'triangle', 'board', 'light']);
  const height = between(draws, 2, 3.2);
  const size = form === 'board' ? between(draws, 0.35, 0.9) : between(draws, 0.26, 0.42);
  const phase = draws.integer(TILE);
  const look = surface(drab(draws, 0.1, 0.55), phase, 0.2);
  const face: Face = {
    form,
    rim: surface(chance(draws, 0.6) ? hsv(0, 0.8, 0.5) : paint(draws), phase, 0.1),
    field: surface(chance(draws, 0.5) ? [0.75, 0.75, 0.75] : paint(draws), phase, 0.15),
    bulb: surface(hsv(pick(draws, [0, 0.12, 0.36]), 0.9, 1.5), phase, 0),
    lamp: (phase % 3) - 1,
  };
  return {
    z,
    shade: (mask) => mask.wall(x - 0.1, z, x + 0.1, z, height),
    paint(stage) {
      const { canvas, camera } = stage;
      post(stage, x, z, height, 0.09, look);
      const pixels = Math.max((size * camera.focal) / z, 0.9);
      paintFace(canvas, face, projectX(camera, x, z), projectY(camera, height, z), pixels, z);
    },
  };
}

/** @param s half the sign's width, in pixels. */
function paintFace(canvas: Canvas, face: Face, x: number, y: number, s: number, z: number): void {
  const { rim, field, bulb } = face;
  switch (face.form) {
    case 'disc':
      canvas.ellipse(x, y, s, s, rim, SIGN, z);
      canvas.ellipse(x, y, s * 0.7, s * 0.7, field, SIGN, z);
      break;
    case 'triangle':
      canvas.polygon(triangle(x, y, s * 1.15), rim, SIGN, z);
      canvas.polygon(triangle(x, y, s * 0.65), field, SIGN, z);
      break;
    case 'board':
      canvas.polygon(rectangle(x, s, y - s * 0.6, y + s * 0.6), rim, SIGN, z);
      canvas.polygon(rectangle(x, s * 0.85, y - s * 0.4, y + s * 0.1), field, SIGN, z);
      break;
    case 'light': {
      const box = surface([0.04, 0.05, 0.04], rim.phase, 0.1);
      canvas.polygon(rectangle(x, s * 0.5, y - s * 1.4, y + s * 1.4), box, SIGN, z);
      canvas.ellipse(x, y + s * 0.9 * face.lamp, s * 0.35, s * 0.35, bulb, SIGN, z);
    }
  }
}

function triangle(x: number, y: number, size: number): number[] {
  return [x, y - size, x + size, y + size * 0.75, x - size, y + size * 0.75];
}

function rectangle(x: number, half: number, top: number, bottom: number): number[] {
  return [x - half, top, x + half, top, x + half, bottom, x - half, bottom];
}
