/** Draws the things of one scene and their positions. */
import type { Draws } from '../../random/draws.js';
import { building } from './buildings.js';
import { car } from './cars.js';
import { between, chance } from './colour.js';
import { bicycle, person } from './people.js';
import { clutter, lampPost } from './poles.js';
import { signPost } from './signs.js';
import { type Street, wallX } from './street.js';
import type { Thing } from './thing.js';
import { skyline, tree } from './trees.js';

const FAR = 130;
const SIDES = [-1, 1] as const;

export function drawThings(draws: Draws, street: Street): Thing[] {
  const things: Thing[] = [skyline(draws)];
  const busy = between(draws, 0.2, 1.6);
  for (const side of SIDES) {
    things.push(...houses(draws, street, side), ...greenery(draws, street, side));
    things.push(...furniture(draws, street, side), ...parked(draws, street, side));
    things.push(...passers(draws, street, side, busy));
  }
  things.push(...traffic(draws, street, busy), ...crossing(draws, street, busy));
  return things;
}

function onCross(street: Street, z: number, margin: number): boolean {
  return z > street.crossNear - margin && z < street.crossFar + margin;
}

function houses(draws: Draws, street: Street, side: 1 | -1): Thing[] {
  const things: Thing[] = [];
  const built = between(draws, 0.35, 1);
  const yard = chance(draws, 0.4) ? 0 : between(draws, 1, 8);
  let near = between(draws, -6, 4);
  while (near < FAR) {
    let far = near + between(draws, 7, 24);
    if (near < street.crossFar && far > street.crossNear)
      far = Math.max(street.crossNear, near + 1);
    const inCross = onCross(street, (near + far) / 2, 0);
    if (!inCross && far > 2 && chance(draws, built)) {
      const x = wallX(street, side) + side * (yard + between(draws, 0, 1.5));
      things.push(building(draws, x, side, near, far));
    }
    near = far + (chance(draws, 0.35) ? between(draws, 1, 9) : 0);
    if (near >= street.crossNear - 1 && near < street.crossFar) near = street.crossFar;
  }
  return things;
}

function greenery(draws: Draws, street: Street, side: 1 | -1): Thing[] {
  const things: Thing[] = [];
  const plan = side > 0 ? street.right : street.left;
  const kerb = side > 0 ? street.roadRight : street.roadLeft;
  const avenue = chance(draws, 0.45);
  const spacing = between(draws, 5, 14);
  const row = plan.verge > 0 ? kerb + side * plan.verge * 0.5 : kerb + side * 0.8;
  for (let z = between(draws, 3, 12); avenue && z < 90; z += spacing * between(draws, 0.8, 1.2)) {
    if (!onCross(street, z, 2)) things.push(tree(draws, row, z, 'tree'));
  }
  const loose = draws.integer(9);
  for (let i = 0; i < loose; i++) {
    const z = 4 + 80 * draws.uniform() ** 1.5;
    const x = wallX(street, side) + side * between(draws, 0.6, 14);
    if (!onCross(street, z, 2))
      things.push(tree(draws, x, z, chance(draws, 0.5) ? 'tree' : 'bush'));
  }
  if (plan.lawn && chance(draws, 0.4)) {
    const x = wallX(street, side) + side * 0.7;
    const until = between(draws, 10, 50);
    for (let z = between(draws, 2.5, 10); z < until; z += 1.1) {
      if (!onCross(street, z, 1)) things.push(tree(draws, x, z, 'bush'));
    }
  }
  return things;
}

function furniture(draws: Draws, street: Street, side: 1 | -1): Thing[] {
  const things: Thing[] = [];
  const kerb = (side > 0 ? street.roadRight : street.roadLeft) + side * between(draws, 0.35, 0.8);
  const spacing = between(draws, 11, 28);
  if (chance(draws, 0.75)) {
    for (let z = between(draws, 4, 14); z < 100; z += spacing) {
      if (!onCross(street, z, 0)) things.push(lampPost(draws, kerb, z, -side));
    }
  }
  const signs = 1 + draws.integer(4);
  for (let i = 0; i < signs; i++) {
    const z = 4 + 38 * draws.uniform() ** 1.3;
    if (!onCross(street, z, 0))
      things.push(signPost(draws, kerb + side * between(draws, 0, 0.6), z));
  }
  if (street.crossNear < 1e5 && chance(draws, 0.6))
    things.push(signPost(draws, kerb, street.crossNear - 0.6));
  const junk = draws.integer(3);
  for (let i = 0; i < junk; i++) {
    const z = between(draws, 4, 30);
    if (!onCross(street, z, 0))
      things.push(clutter(draws, wallX(street, side) - side * between(draws, 0, 1), z));
  }
  return things;
}

function parked(draws: Draws, street: Street, side: 1 | -1): Thing[] {
  const things: Thing[] = [];
  if (!chance(draws, 0.65)) return things;
  const density = between(draws, 0.2, 0.9);
  const kerb = side > 0 ? street.roadRight : street.roadLeft;
  for (let z = between(draws, 4, 9); z < 70; z += between(draws, 5.6, 7)) {
    if (onCross(street, z, 6) || !chance(draws, density)) continue;
    const turned = side < 0 && chance(draws, 0.7) ? Math.PI : 0;
    things.push(
      car(draws, kerb - side * between(draws, 0.75, 1.05), z, turned + between(draws, -0.06, 0.06)),
    );
  }
  return things;
}

function traffic(draws: Draws, street: Street, busy: number): Thing[] {
  const things: Thing[] = [];
  const [stripe] = street.stripes;
  const middle = stripe ? stripe.x : (street.roadLeft + street.roadRight) / 2;
  let z = between(draws, 7, 30);
  while (z < 90 && chance(draws, 0.35 + 0.3 * busy)) {
    things.push(car(draws, between(draws, -0.4, 0.4), z, between(draws, -0.08, 0.08)));
    z += between(draws, 8, 35);
  }
  z = between(draws, 7, 30);
  while (middle - street.roadLeft > 2.6 && z < 90 && chance(draws, 0.3 + 0.3 * busy)) {
    things.push(
      car(draws, middle - between(draws, 1.4, 1.9), z, Math.PI + between(draws, -0.08, 0.08)),
    );
    z += between(draws, 8, 35);
  }
  if (street.crossNear < 1e5) {
    const length = street.crossFar - street.crossNear;
    for (const [lane, heading] of [
      [0.27, Math.PI / 2],
      [0.73, -Math.PI / 2],
    ] as const) {
      const at = street.crossNear + length * lane;
      for (let x = between(draws, -22, -4); x < 22; x += between(draws, 5.5, 22)) {
        if (chance(draws, 0.22 * busy + 0.08)) things.push(car(draws, x, at, heading));
      }
    }
  }
  return things;
}

function passers(draws: Draws, street: Street, side: 1 | -1, busy: number): Thing[] {
  const things: Thing[] = [];
  const plan = side > 0 ? street.right : street.left;
  const kerb = side > 0 ? street.roadRight : street.roadLeft;
  const groups = draws.integer(2 + Math.round(4 * busy));
  for (let i = 0; i < groups; i++) {
    const z = 4.5 + 36 * draws.uniform() ** 1.8;
    const x = kerb + side * (plan.verge + between(draws, 0.3, Math.max(plan.pavement - 0.2, 0.5)));
    const size = 1 + draws.integer(3);
    for (let k = 0; k < size; k++) {
      things.push(person(draws, x + between(draws, -0.7, 0.7), z + between(draws, -0.6, 0.9)));
    }
  }
  const racks = chance(draws, 0.55) ? 1 + draws.integer(5) : 0;
  const rack = between(draws, 4.5, 18);
  const wall = wallX(street, side) - side * between(draws, 0.4, 1);
  for (let i = 0; i < racks; i++) things.push(bicycle(draws, wall, rack + i * 0.7, false));
  if (chance(draws, 0.2 + 0.4 * busy)) {
    things.push(
      bicycle(draws, kerb - side * between(draws, 0.6, 1.6), between(draws, 5, 24), true),
    );
  }
  return things;
}

/** People who cross the road, on the zebra or anywhere. */
function crossing(draws: Draws, street: Street, busy: number): Thing[] {
  const things: Thing[] = [];
  const count = draws.integer(street.zebra ? 5 : 2);
  for (let i = 0; i < count; i++) {
    if (!chance(draws, 0.4 + 0.3 * busy)) continue;
    const z = street.zebra ? street.crossNear - between(draws, 0.8, 3.8) : between(draws, 7, 40);
    const x = between(draws, street.roadLeft, street.roadRight);
    things.push(chance(draws, 0.25) ? bicycle(draws, x, z, true) : person(draws, x, z));
  }
  return things;
}
