/** Cars and vans as solids with any heading. */
import type { Draws } from '../../random/draws.js';
import { type Camera, NEAREST, project } from './camera.js';
import type { Surface } from './canvas.js';
import { CAR } from './classes.js';
import { between, type Colour, chance, drab, hsv, mix, paint, times } from './colour.js';
import { TILE } from './noise.js';
import { facing, type Stage, surface, type Thing } from './thing.js';

interface Shape {
  readonly length: number;
  readonly halfWidth: number;
  readonly belt: number;
  readonly roof: number;
  /** Ends of the cabin as fractions of the length from the rear: rear low, rear high, front high, front low. */
  readonly cabin: readonly [number, number, number, number];
}

function drawShape(draws: Draws): Shape {
  if (chance(draws, 0.2)) {
    return {
      length: between(draws, 4.6, 6.2),
      halfWidth: between(draws, 0.9, 1.05),
      belt: between(draws, 1.1, 1.3),
      roof: between(draws, 1.9, 2.7),
      cabin: [0.01, 0.02, 0.78, 0.88],
    };
  }
  const hatch = chance(draws, 0.5);
  return {
    length: between(draws, 3.6, 4.8),
    halfWidth: between(draws, 0.8, 0.95),
    belt: between(draws, 0.85, 1),
    roof: between(draws, 1.35, 1.7),
    cabin: hatch ? [0.02, 0.1, 0.58, 0.74] : [0.14, 0.27, 0.56, 0.72],
  };
}

/** Converts local coordinates (along, across, up) to the world. */
type Place = (along: number, across: number, up: number) => readonly [number, number, number];

interface Car {
  readonly shape: Shape;
  readonly place: Place;
  readonly heading: number;
  readonly body: Surface;
  readonly glass: Surface;
  readonly tyre: Surface;
  readonly hub: Surface;
  readonly lamp: Surface;
  readonly tail: Surface;
  readonly z: number;
}

const CLEARANCE = 0.22;
/** The roof's width as a share of the car's. */
const ROOF = 0.86;

/**
 * @param x with `z`: the middle of the car on the ground, in metres.
 * @param heading in radians to the right; 0: away from the camera.
 */
export function car(draws: Draws, x: number, z: number, heading: number): Thing {
  const shape = drawShape(draws);
  const cos = Math.cos(heading);
  const sin = Math.sin(heading);
  const place: Place = (along, across, up) => {
    const a = (along - 0.5) * shape.length;
    const b = across * shape.halfWidth;
    return [x + a * sin + b * cos, up, z + a * cos - b * sin];
  };
  const night: Colour = [3, 2.8, 2.2];
  const on = chance(draws, 0.35);
  const phase = draws.integer(TILE);
  const built: Car = {
    shape,
    place,
    heading,
    body: surface(chance(draws, 0.45) ? drab(draws, 0.03, 0.85) : paint(draws), phase, 0.12, 4),
    glass: surface(mix([0.03, 0.04, 0.05], [0.4, 0.45, 0.5], draws.uniform() ** 2), phase, 0.4, 3),
    tyre: surface([0.03, 0.03, 0.03], phase, 0.2),
    hub: surface(drab(draws, 0.2, 0.6), phase, 0.2),
    lamp: surface(on ? night : [0.75, 0.75, 0.7], phase, 0.1),
    tail: surface(hsv(0, 0.85, on ? 1.4 : 0.45), phase, 0.1),
    z,
  };
  const corners = [-1.05, 1.05, 1.05, -1.05].flatMap((across, i) => {
    const [cx, , cz] = place(i < 2 ? -0.02 : 1.02, across, 0);
    return [cx, Math.max(cz, NEAREST)];
  });
  return {
    z,
    shade(mask) {
      const [rearX, , rearZ] = place(0, 0, 0);
      const [frontX, , frontZ] = place(1, 0, 0);
      mask.wall(rearX, rearZ, frontX, frontZ, shape.roof);
      mask.contact(corners);
    },
    paint: (stage) => paintCar(stage, built),
  };
}

/** Paints a flat part, given as points along, across, up … */
function part(stage: Stage, car: Car, points: readonly number[], look: Surface, light = 1): void {
  const world: number[] = [];
  for (let i = 0; i < points.length; i += 3) {
    world.push(...car.place(points[i]!, points[i + 1]!, points[i + 2]!));
  }
  const lit = { ...look, colour: times(look.colour, light) };
  stage.canvas.polygon(project(stage.camera, world), lit, CAR, car.z);
}

/** An upright or level rectangle between two points (along, up), spanning left to right. */
function panel(
  [along0, up0]: readonly [number, number],
  [along1, up1]: readonly [number, number],
  left: number,
  right: number,
): number[] {
  return [along0, left, up0, along0, right, up0, along1, right, up1, along1, left, up1];
}

function paintCar(stage: Stage, car: Car): void {
  const [rearLow, rearHigh, frontHigh, frontLow] = car.shape.cabin;
  const { belt, roof } = car.shape;
  // A core, to close gaps between faces seen from very near.
  const lower = [0, 0, CLEARANCE, 1, 0, CLEARANCE, 1, 0, belt];
  const upper = [frontHigh, 0, roof, rearHigh, 0, roof, 0, 0, belt];
  part(stage, car, [...lower, ...upper], car.body, 0.5);
  // Faces seen from above.
  part(stage, car, panel([0, belt], [1, belt], -1, 1), car.body, 1.15);
  part(stage, car, panel([rearHigh, roof], [frontHigh, roof], -ROOF, ROOF), car.body, 1.25);
  const ends = [1, 0].sort((a, b) => car.place(b, 0, 0)[2] - car.place(a, 0, 0)[2]);
  for (const end of ends) {
    if (!endVisible(stage.camera, car, end)) continue;
    if (end === 1) paintEnd(stage, car, 1, frontLow, frontHigh, car.lamp);
    else paintEnd(stage, car, 0, rearLow, rearHigh, car.tail);
  }
  for (const side of [-1, 1]) {
    if (sideVisible(stage.camera, car, side)) paintSide(stage, car, side);
  }
}

/**
 * @param end 0: the rear, 1: the front.
 * @param low where its window meets the body; `high`: where it meets the roof.
 */
function paintEnd(
  stage: Stage,
  car: Car,
  end: number,
  low: number,
  high: number,
  lamp: Surface,
): void {
  const { belt, roof } = car.shape;
  const cabin = [low, -0.95, belt, low, 0.95, belt, high, ROOF, roof, high, -ROOF, roof];
  part(stage, car, cabin, car.body);
  part(stage, car, pane(low, high, belt, roof), car.glass);
  part(stage, car, panel([end, CLEARANCE], [end, belt], -1, 1), car.body, 0.85);
  for (const side of [-1, 1]) {
    part(stage, car, panel([end, 0.6], [end, 0.78], side * 0.62, side * 0.97), lamp);
    part(stage, car, panel([end, 0], [end, 0.3], side * 0.6, side * 0.95), car.tyre);
  }
  part(stage, car, panel([end, 0.4], [end, 0.52], -0.3, 0.3), car.hub);
}

/** The pane of a sloping front or rear window. */
function pane(low: number, high: number, belt: number, roof: number): number[] {
  const at = (share: number) => low + (high - low) * share;
  const up = (share: number) => belt + (roof - belt) * share;
  const sill = [at(0.12), -0.82, up(0.12), at(0.12), 0.82, up(0.12)];
  return [...sill, at(0.85), 0.76, up(0.85), at(0.85), -0.76, up(0.85)];
}

function paintSide(stage: Stage, car: Car, side: number): void {
  const { belt, roof, cabin } = car.shape;
  const [rearLow, rearHigh, frontHigh, frontLow] = cabin;
  const turned = Math.cos(car.heading) * side;
  const light = facing(stage.light, turned);
  const s = side * 0.93;
  const lower = [
    0,
    side,
    CLEARANCE,
    1,
    side,
    CLEARANCE,
    1,
    side,
    belt * 0.88,
    frontLow,
    side,
    belt,
  ];
  part(stage, car, [...lower, rearLow, side, belt, 0, side, belt * 0.95], car.body, light);
  const upper = [rearLow, side, belt, frontLow, side, belt, frontHigh, s, roof, rearHigh, s, roof];
  part(stage, car, upper, car.body, light);
  const middle = (rearLow + frontLow) / 2;
  const top = roof - 0.1;
  const rearPane = [rearLow + 0.06, side, belt + 0.04, middle - 0.01, side, belt + 0.04];
  part(stage, car, [...rearPane, middle - 0.01, s, top, rearHigh + 0.03, s, top], car.glass, light);
  const frontPane = [middle + 0.02, side, belt + 0.04, frontLow - 0.05, side, belt + 0.04];
  part(
    stage,
    car,
    [...frontPane, frontHigh - 0.02, s, top, middle + 0.02, s, top],
    car.glass,
    light,
  );
  for (const axle of [0.19, 0.81]) {
    for (const [radius, look] of [
      [0.33, car.tyre],
      [0.17, car.hub],
    ] as const) {
      const rim: number[] = [];
      for (let i = 0; i < 10; i++) {
        const angle = (i / 10) * 2 * Math.PI;
        const along = axle + (radius * Math.cos(angle)) / car.shape.length;
        rim.push(along, side * 1.01, 0.33 + radius * Math.sin(angle));
      }
      part(stage, car, rim, look, light);
    }
  }
}

/** Whether the camera is on the outer side of a face. */
function outside(camera: Camera, at: readonly number[], inner: readonly number[]): boolean {
  const bend = camera.bend * at[2]! * at[2]!;
  return (at[0]! - inner[0]!) * (at[0]! + bend) + (at[2]! - inner[2]!) * at[2]! < 0;
}

function endVisible(camera: Camera, car: Car, end: number): boolean {
  return outside(camera, car.place(end, 0, 0), car.place(0.5, 0, 0));
}

function sideVisible(camera: Camera, car: Car, side: number): boolean {
  return outside(camera, car.place(0.5, side, 0), car.place(0.5, 0, 0));
}
