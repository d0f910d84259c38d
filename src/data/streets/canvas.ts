/**
 * The canvas of a scene. Things are painted from far to near, each over what is behind it. Walls extend from
 * near to far, so a depth test also skips pixels where something nearer has been painted.
 */
import type { Colour } from './colour.js';
import { fractalNoise, TILE } from './noise.js';

/** Paint the colour but keep the label. */
export const KEEP_LABEL = -1;

export interface Surface {
  readonly colour: Colour;
  /** Strength of the texture: 0.2 is ±20 %. */
  readonly grain: number;
  /** Fineness of the texture. */
  readonly texelsPerMetre: number;
  /** Offset of the texture in the tile, so that no two surfaces look the same. */
  readonly phase: number;
  /** Colour factor at the upper and at the lower edge. */
  readonly topLight?: number;
  readonly bottomLight?: number;
  /** Share of pixels left out at random: leaves, railings. */
  readonly holes?: number;
}

export class Canvas {
  readonly height: number;
  readonly width: number;
  /** Pixels: the size of one metre at a distance of one metre. */
  readonly focal: number;
  /** [height, width, 3], linear light. */
  readonly rgb: Float32Array;
  readonly labels: Uint8Array;
  /** Metres from the camera. */
  readonly depth: Float32Array;
  /** Depth of things only: infinite where only sky or ground has been painted. */
  readonly front: Float32Array;
  readonly #noise = fractalNoise();

  constructor(height: number, width: number, focal: number) {
    this.height = height;
    this.width = width;
    this.focal = focal;
    this.rgb = new Float32Array(height * width * 3);
    this.labels = new Uint8Array(height * width);
    this.depth = new Float32Array(height * width).fill(1e6);
    this.front = new Float32Array(height * width).fill(Number.POSITIVE_INFINITY);
  }

  /**
   * Fills a polygon (even-odd rule; a pixel is inside if its centre is).
   *
   * @param points x, y, x, y … in pixels.
   * @param label a class, IGNORE_LABEL or KEEP_LABEL.
   * @param depth metres.
   */
  polygon(points: readonly number[], surface: Surface, label: number, depth: number): void {
    let top = Number.POSITIVE_INFINITY;
    let bottom = Number.NEGATIVE_INFINITY;
    for (let i = 1; i < points.length; i += 2) {
      top = Math.min(top, points[i]!);
      bottom = Math.max(bottom, points[i]!);
    }
    const firstRow = Math.max(Math.ceil(top - 0.5), 0);
    const lastRow = Math.min(Math.ceil(bottom - 0.5) - 1, this.height - 1);
    const { topLight = 1, bottomLight = 1 } = surface;
    for (let y = firstRow; y <= lastRow; y++) {
      const crossings = rowCrossings(points, y + 0.5);
      const light = topLight + ((bottomLight - topLight) * (y + 0.5 - top)) / (bottom - top);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const from = Math.max(Math.ceil(crossings[i]! - 0.5), 0);
        const to = Math.min(Math.ceil(crossings[i + 1]! - 0.5), this.width);
        this.#span(y, from, to, surface, light, label, depth);
      }
    }
  }

  /** Fills an axis-aligned ellipse. */
  ellipse(
    x: number,
    y: number,
    radiusX: number,
    radiusY: number,
    surface: Surface,
    label: number,
    depth: number,
  ): void {
    const firstRow = Math.max(Math.ceil(y - radiusY - 0.5), 0);
    const lastRow = Math.min(Math.ceil(y + radiusY - 0.5) - 1, this.height - 1);
    const { topLight = 1, bottomLight = 1 } = surface;
    for (let row = firstRow; row <= lastRow; row++) {
      const v = (row + 0.5 - y) / radiusY;
      const half = radiusX * Math.sqrt(Math.max(1 - v * v, 0));
      const from = Math.max(Math.ceil(x - half - 0.5), 0);
      const to = Math.min(Math.ceil(x + half - 0.5), this.width);
      const light = topLight + (bottomLight - topLight) * (v + 1) * 0.5;
      this.#span(row, from, to, surface, light, label, depth);
    }
  }

  #span(
    y: number,
    from: number,
    to: number,
    surface: Surface,
    light: number,
    label: number,
    depth: number,
  ): void {
    const [red, green, blue] = surface.colour;
    const texels = (surface.texelsPerMetre * Math.min(depth, 1e4)) / this.focal;
    const noiseRow = ((y * texels + surface.phase) & (TILE - 1)) * TILE;
    // The noise ranges from about -1 to 1; pixels below this are holes.
    const holesBelow = (surface.holes ?? 0) > 0 ? -0.75 + 1.1 * surface.holes! : -9;
    // Parts of one thing share a depth, which float32 may have rounded up.
    const least = depth * 0.999;
    for (let x = from; x < to; x++) {
      const noise = this.#noise[noiseRow + ((x * texels + surface.phase * 7) & (TILE - 1))]!;
      const at = y * this.width + x;
      if (noise < holesBelow || this.front[at]! < least) continue;
      const shade = light * (1 + surface.grain * noise);
      this.rgb[at * 3] = red * shade;
      this.rgb[at * 3 + 1] = green * shade;
      this.rgb[at * 3 + 2] = blue * shade;
      if (label !== KEEP_LABEL) {
        this.labels[at] = label;
        this.depth[at] = depth;
        this.front[at] = depth;
      }
    }
  }
}

/** Where a polygon's edges cross a row, ascending. */
export function rowCrossings(points: readonly number[], y: number): number[] {
  const crossings: number[] = [];
  let x0 = points[points.length - 2]!;
  let y0 = points[points.length - 1]!;
  for (let i = 0; i < points.length; i += 2) {
    const x1 = points[i]!;
    const y1 = points[i + 1]!;
    if (y0 <= y !== y1 <= y) crossings.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    x0 = x1;
    y0 = y1;
  }
  return crossings.length === 2 && crossings[0]! <= crossings[1]!
    ? crossings
    : crossings.sort((a, b) => a - b);
}
