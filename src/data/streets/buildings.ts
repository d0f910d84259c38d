/** Houses along the street: a long side towards the road, an end wall, a roof, windows, shops. */
import type { Draws } from '../../random/draws.js';
import { NEAREST, planeDepth, project, projectX, projectY } from './camera.js';
import type { Canvas } from './canvas.js';
import { BUILDING } from './classes.js';
import {
  between,
  type Colour,
  chance,
  drab,
  foliage,
  hsv,
  mix,
  paint,
  pick,
  times,
} from './colour.js';
import { fractalNoise, TILE } from './noise.js';
import { facing, type Stage, surface, type Thing } from './thing.js';

const MASK = TILE - 1;

interface Facade {
  readonly wall: Colour;
  readonly frame: Colour;
  readonly glass: Colour;
  readonly base: Colour;
  readonly floor: number;
  readonly bay: number;
  /** Share of a bay and of a floor that is window. */
  readonly windowWidth: number;
  readonly windowHeight: number;
  readonly shop: boolean;
  readonly bricks: boolean;
  readonly grain: number;
  readonly phase: number;
}

function drawFacade(draws: Draws): Facade {
  const style = draws.integer(10);
  const wall =
    style < 5
      ? drab(draws, 0.2, 0.75)
      : style < 7
        ? hsv(between(draws, 0, 0.08), between(draws, 0.3, 0.6), between(draws, 0.2, 0.5))
        : style < 9
          ? hsv(draws.uniform(), between(draws, 0.1, 0.35), between(draws, 0.35, 0.8))
          : foliage(draws);
  return {
    wall,
    frame: chance(draws, 0.5) ? drab(draws, 0.5, 0.85) : times(wall, 0.7),
    glass: mix([0.08, 0.1, 0.13], [0.45, 0.52, 0.6], draws.uniform() ** 2),
    base: chance(draws, 0.4) ? paint(draws) : times(wall, between(draws, 0.5, 0.9)),
    floor: between(draws, 2.7, 4),
    bay: between(draws, 1.5, 4),
    windowWidth: chance(draws, 0.15) ? 1 : between(draws, 0.3, 0.75),
    windowHeight: between(draws, 0.35, 0.75),
    shop: chance(draws, 0.45),
    bricks: style === 5 || style === 6,
    grain: between(draws, 0.08, 0.35),
    phase: draws.integer(TILE),
  };
}

/** The colour of a wall at `along` metres from its corner and `y` metres above the ground. */
function facadeColour(facade: Facade, along: number, y: number, lit: number): Colour {
  const floorNumber = Math.floor(y / facade.floor);
  const inFloor = y / facade.floor - floorNumber;
  const bayNumber = Math.floor(along / facade.bay);
  const inBay = along / facade.bay - bayNumber;
  if (floorNumber === 0 && facade.shop) {
    if (inFloor > 0.82) return facade.base;
    return inBay < 0.08 || inFloor < 0.12 ? facade.base : facade.glass;
  }
  const u = Math.abs(inBay - 0.5) * 2;
  const v = Math.abs(inFloor - 0.52) * 2;
  if (u < facade.windowWidth && v < facade.windowHeight) {
    if (u > facade.windowWidth - 0.09 || v > facade.windowHeight - 0.09) return facade.frame;
    // One random number per window decides: lit, a curtain, or glass.
    const hash =
      fractalNoise()[
        ((floorNumber * 41 + facade.phase) & MASK) * TILE + ((bayNumber * 67) & MASK)
      ]!;
    const luck = Math.abs(hash * 37) % 1;
    if (luck < lit) return [2.4, 1.9, 1.1];
    return luck > 0.75 ? mix(facade.glass, facade.frame, 0.6) : facade.glass;
  }
  if (inFloor < 0.05) return facade.frame;
  return facade.wall;
}

function wallColumn(
  stage: Stage,
  facade: Facade,
  column: number,
  z: number,
  along: number,
  height: number,
  brightness: number,
): void {
  const { canvas, camera, light } = stage;
  const noise = fractalNoise();
  const top = projectY(camera, height, z);
  const from = Math.max(Math.ceil(top - 0.5), 0);
  const to = Math.min(Math.ceil(projectY(camera, 0, z) - 0.5), canvas.height);
  const metres = z / camera.focal;
  for (let row = from; row < to; row++) {
    const y = camera.eye - (row + 0.5 - camera.horizon) * metres;
    const colour = facadeColour(facade, along, y, light.litWindows);
    const texture = noise[((y * 11 + facade.phase) & MASK) * TILE + ((along * 11) & MASK)]!;
    const stain = noise[((y * 1.5 + facade.phase) & MASK) * TILE + ((along * 1.1) & MASK)]!;
    let shade = brightness * (1 + facade.grain * texture + 0.12 * stain);
    if (facade.bricks && z < 25 && (y * 5) % 1 < 0.25) shade *= 0.82;
    const at = row * canvas.width + column;
    if (canvas.front[at]! < z) continue;
    canvas.rgb[at * 3] = colour[0] * shade;
    canvas.rgb[at * 3 + 1] = colour[1] * shade;
    canvas.rgb[at * 3 + 2] = colour[2] * shade;
    canvas.labels[at] = BUILDING;
    canvas.depth[at] = z;
    canvas.front[at] = z;
  }
}

/** The columns of the image that a wall may cover. */
function columnRange(canvas: Canvas, a: number, b: number): [number, number] {
  const first = Math.max(Math.ceil(Math.min(a, b) - 0.5), 0);
  const last = Math.min(Math.ceil(Math.max(a, b) - 0.5), canvas.width);
  return [first, last];
}

/**
 * @param x of the long side; the house stands beyond it.
 * @param side 1: right of the road, -1: left.
 * @param near distance ahead of its nearer corner at the road, in metres; `far`: of the farther one.
 */
export function building(draws: Draws, x: number, side: 1 | -1, near: number, far: number): Thing {
  const facade = drawFacade(draws);
  const floors = pick(draws, [1, 2, 2, 3, 3, 4, 5, 7]);
  const height = floors * facade.floor + between(draws, 0.2, 1);
  const deep = between(draws, 7, 14);
  const gable = floors < 5 && chance(draws, 0.55) ? between(draws, 1.5, 4) : 0;
  const roof = surface(
    chance(draws, 0.6)
      ? hsv(between(draws, 0, 0.07), between(draws, 0.2, 0.6), between(draws, 0.12, 0.4))
      : drab(draws, 0.1, 0.45),
    draws.integer(TILE),
    0.25,
    9,
  );
  const start = Math.max(near, NEAREST);
  return {
    // Painted before everything in front of its long side.
    z: far,
    shade(mask) {
      mask.wall(x, start, x, far, height + gable * 0.5);
      mask.wall(x, near, x + side * deep, near, height);
    },
    paint(stage) {
      const { canvas, camera, light } = stage;
      const ridge = x + side * deep * 0.5;
      if (gable > 0) {
        const slope = [x, height, start, ridge, height + gable, start];
        slope.push(ridge, height + gable, far, x, height, far);
        canvas.polygon(project(camera, slope), roof, BUILDING, far);
      }
      const [first, last] = columnRange(
        canvas,
        projectX(camera, x, start),
        projectX(camera, x, far),
      );
      for (let column = first; column < last; column++) {
        const z = planeDepth(camera, x, column + 0.5);
        if (z === undefined || z < start || z > far) continue;
        wallColumn(stage, facade, column, z, z - near + 50, height, facing(light, -side));
      }
      if (near < 2) return;
      const end = x + side * deep;
      const wall = light.sunZ > 0 ? 1 : 0.5 + 0.4 * light.shadow;
      const [left, right] = columnRange(
        canvas,
        projectX(camera, x, near),
        projectX(camera, end, near),
      );
      for (let column = left; column < right; column++) {
        const across =
          ((column + 0.5 - camera.vanish) * near) / camera.focal - camera.bend * near * near;
        const out = Math.abs(across - x);
        const rise = gable * (1 - Math.abs(out / deep - 0.5) * 2);
        wallColumn(stage, facade, column, near, out + 20, height + Math.max(rise, 0), wall);
      }
    },
  };
}
