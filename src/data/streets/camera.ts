/**
 * The view from a car, in metres: X to the right, Y up from the ground, Z ahead. The bend shifts distant
 * points to one side, which turns a straight road into a curved one.
 */
import type { Draws } from '../../random/draws.js';
import { between } from './colour.js';

/** Nearest Z that is projected, in metres. */
export const NEAREST = 0.6;

export interface Camera {
  readonly height: number;
  readonly width: number;
  /** Pixels. */
  readonly focal: number;
  /** Pixel row and column of the vanishing point. */
  readonly horizon: number;
  readonly vanish: number;
  /** Metres above the ground. */
  readonly eye: number;
  /** X moves by bend · Z². */
  readonly bend: number;
}

export function drawCamera(draws: Draws, height: number, width: number): Camera {
  return {
    height,
    width,
    focal: width * between(draws, 0.55, 0.95),
    horizon: height * between(draws, 0.36, 0.54),
    vanish: width * between(draws, 0.36, 0.64),
    eye: between(draws, 1.3, 2.3),
    bend: between(draws, -1, 1) ** 3 * 0.006,
  };
}

export function projectX(camera: Camera, x: number, z: number): number {
  return camera.vanish + (camera.focal * (x + camera.bend * z * z)) / z;
}

export function projectY(camera: Camera, y: number, z: number): number {
  return camera.horizon + (camera.focal * (camera.eye - y)) / z;
}

/** Projects points X, Y, Z, X, Y, Z … to x, y, x, y … in pixels. */
export function project(camera: Camera, points: readonly number[]): number[] {
  const out: number[] = [];
  for (let i = 0; i < points.length; i += 3) {
    const z = Math.max(points[i + 2]!, NEAREST);
    out.push(projectX(camera, points[i]!, z), projectY(camera, points[i + 1]!, z));
  }
  return out;
}

/** The Z at which a pixel column shows the upright plane at X; undefined: the plane isn't ahead. */
export function planeDepth(camera: Camera, x: number, column: number): number | undefined {
  const slope = (column - camera.vanish) / camera.focal;
  if (Math.abs(camera.bend) < 1e-7) {
    const z = x / slope;
    return z > 0 && Number.isFinite(z) ? z : undefined;
  }
  const discriminant = slope * slope - 4 * camera.bend * x;
  if (discriminant < 0) return undefined;
  const root = Math.sqrt(discriminant);
  const near = (slope - root) / (2 * camera.bend);
  const far = (slope + root) / (2 * camera.bend);
  const nearest = Math.min(near > 0 ? near : Infinity, far > 0 ? far : Infinity);
  return Number.isFinite(nearest) ? nearest : undefined;
}
