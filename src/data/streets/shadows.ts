/** Shadows on the ground, painted into a mask before the ground is painted. */
import { type Camera, project } from './camera.js';
import { rowCrossings } from './canvas.js';
import type { Light } from './light.js';

export class ShadowMask {
  readonly #camera: Camera;
  readonly #light: Light;
  /** Factor of the light, [height, width]. */
  readonly factor: Float32Array;

  constructor(camera: Camera, light: Light) {
    this.#camera = camera;
    this.#light = light;
    this.factor = new Float32Array(camera.height * camera.width).fill(1);
  }

  /** The shadow of an upright wall of height `height` over the line from (x0, z0) to (x1, z1). */
  wall(x0: number, z0: number, x1: number, z1: number, height: number): void {
    const dx = this.#light.sunX * height;
    const dz = this.#light.sunZ * height;
    this.#darken([x0, z0, x1, z1, x1 + dx, z1 + dz, x0 + dx, z0 + dz], this.#light.shadow);
  }

  /** A round shadow, such as a tree crown's, for a centre at `height` above (x, z). */
  disc(x: number, z: number, height: number, radius: number): void {
    const outline: number[] = [];
    for (let i = 0; i < 14; i++) {
      const angle = (i / 14) * 2 * Math.PI;
      const ragged = radius * (1 + 0.25 * Math.sin(i * 2.4));
      outline.push(
        x + this.#light.sunX * height + ragged * Math.cos(angle),
        z + this.#light.sunZ * height + ragged * Math.sin(angle),
      );
    }
    this.#darken(outline, this.#light.shadow);
  }

  /** The dark area under a thing on the ground, in any weather. */
  contact(corners: readonly number[]): void {
    this.#darken(corners, 0.4);
  }

  /** @param corners X, Z, X, Z … on the ground. */
  #darken(corners: readonly number[], factor: number): void {
    const points: number[] = [];
    for (let i = 0; i < corners.length; i += 2) points.push(corners[i]!, 0, corners[i + 1]!);
    const { height, width } = this.#camera;
    const outline = project(this.#camera, points);
    const rows = outline.filter((_, i) => i % 2 === 1);
    const first = Math.max(Math.ceil(Math.min(...rows) - 0.5), 0);
    const last = Math.min(Math.ceil(Math.max(...rows) - 0.5), height);
    for (let y = first; y < last; y++) {
      const crossings = rowCrossings(outline, y + 0.5);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const from = Math.max(Math.ceil(crossings[i]! - 0.5), 0);
        const to = Math.min(Math.ceil(crossings[i + 1]! - 0.5), width);
        for (let x = from; x < to; x++) {
          this.factor[y * width + x] = Math.min(this.factor[y * width + x]!, factor);
        }
      }
    }
  }
}
