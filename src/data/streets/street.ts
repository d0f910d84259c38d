/** The layout of the ground between the walls on the left and on the right. */
import type { Draws } from '../../random/draws.js';
import { between, type Colour, chance, drab, foliage, mix, times } from './colour.js';
import { LANE_MARKING, ROAD, SIDEWALK, TERRAIN } from './classes.js';

export interface Stripe {
  readonly x: number;
  readonly halfWidth: number;
  /** Metres per dash and gap; 0: a solid line. */
  readonly period: number;
}

/** One side of the road, from the kerb outwards; metres. */
export interface Side {
  /** Grass between kerb and pavement; 0: none. */
  readonly verge: number;
  readonly pavement: number;
  /** Grass beyond the pavement; otherwise more pavement. */
  readonly lawn: boolean;
}

export interface Street {
  readonly roadLeft: number;
  readonly roadRight: number;
  readonly left: Side;
  readonly right: Side;
  readonly stripes: readonly Stripe[];
  /** Z range of a crossing road; far away if there is none. */
  readonly crossNear: number;
  readonly crossFar: number;
  /** Zebra crossing in front of the crossing road. */
  readonly zebra: boolean;
  readonly asphalt: Colour;
  readonly patch: Colour;
  readonly paving: Colour;
  readonly kerb: Colour;
  readonly grass: Colour;
  readonly marking: Colour;
  /** Share of the marking that is worn off. */
  readonly wear: number;
  /** Edge of a paving slab, in metres. */
  readonly slab: number;
}

function drawSide(draws: Draws): Side {
  return {
    verge: chance(draws, 0.4) ? between(draws, 0.8, 2.5) : 0,
    pavement: between(draws, 1.4, 4.5),
    lawn: chance(draws, 0.65),
  };
}

export function drawStreet(draws: Draws): Street {
  const lane = between(draws, 2.7, 3.7);
  const lanesLeft = chance(draws, 0.2) ? 0 : chance(draws, 0.25) ? 2 : 1;
  const lanesRight = chance(draws, 0.25) ? 2 : 1;
  const shoulder = between(draws, 0.3, 2.6);
  const inLane = between(draws, 0.4, 0.6) * lane;
  const middle = -inLane;
  const stripes: Stripe[] = [];
  const halfWidth = between(draws, 0.06, 0.13);
  const period = between(draws, 4, 9);
  if (chance(draws, 0.8)) {
    const solid = chance(draws, 0.3) ? 0 : period;
    if (lanesLeft > 0) stripes.push({ x: middle, halfWidth, period: solid });
    if (lanesLeft > 1) stripes.push({ x: middle - lane, halfWidth, period });
    if (lanesRight > 1) stripes.push({ x: middle + lane, halfWidth, period });
  }
  const roadLeft = middle - lanesLeft * lane - shoulder;
  const roadRight = middle + lanesRight * lane + shoulder;
  if (chance(draws, 0.5)) {
    stripes.push({ x: roadRight - shoulder, halfWidth, period: 0 });
    stripes.push({ x: roadLeft + shoulder, halfWidth, period: 0 });
  }
  const crosses = chance(draws, 0.45);
  const crossNear = crosses ? between(draws, 9, 40) : 1e6;
  const asphalt = drab(draws, 0.1, 0.4);
  return {
    roadLeft,
    roadRight,
    left: drawSide(draws),
    right: drawSide(draws),
    stripes,
    crossNear,
    crossFar: crossNear + between(draws, 6, 13),
    zebra: crosses && chance(draws, 0.7),
    asphalt,
    patch: times(asphalt, between(draws, 0.6, 1.3)),
    paving: chance(draws, 0.35)
      ? times(asphalt, between(draws, 0.9, 1.3))
      : drab(draws, 0.15, 0.55),
    kerb: drab(draws, 0.25, 0.6),
    grass: mix(foliage(draws), drab(draws, 0.15, 0.4), between(draws, 0, 0.5)),
    marking: mix([0.8, 0.8, 0.78], [0.75, 0.6, 0.2], chance(draws, 0.2) ? 0.8 : 0),
    wear: between(draws, 0, 0.5),
    slab: between(draws, 0.4, 1.6),
  };
}

/** X of the wall line on one side, not counting the yards of buildings. */
export function wallX(street: Street, side: 1 | -1): number {
  const { verge, pavement } = side > 0 ? street.right : street.left;
  const kerb = side > 0 ? street.roadRight : street.roadLeft;
  return kerb + side * (verge + pavement);
}

/** The label of the ground at a point. */
export function groundLabel(street: Street, x: number, z: number, worn: number): number {
  const onCross = z > street.crossNear && z < street.crossFar;
  if (x > street.roadLeft && x < street.roadRight) {
    return !onCross && isMarked(street, x, z) && worn > street.wear ? LANE_MARKING : ROAD;
  }
  if (onCross) return ROAD;
  const right = x >= street.roadRight;
  const side = right ? street.right : street.left;
  const out = right ? x - street.roadRight : street.roadLeft - x;
  if (out < 0.3) return SIDEWALK;
  if (out < side.verge) return TERRAIN;
  return out < side.verge + side.pavement || !side.lawn ? SIDEWALK : TERRAIN;
}

function isMarked(street: Street, x: number, z: number): boolean {
  const ahead = street.crossNear - z;
  if (street.zebra && ahead > 0.6 && ahead < 4) return ((x % 1.1) + 1.1) % 1.1 < 0.55;
  if (street.crossNear < 1e5 && ahead > 4.8 && ahead < 5.2) return true;
  if (ahead > 0 && ahead < 5.2) return false;
  for (const stripe of street.stripes) {
    const distance = Math.abs(x - stripe.x);
    if (distance < stripe.halfWidth) {
      return stripe.period === 0 || z % stripe.period < stripe.period * 0.45;
    }
  }
  return false;
}
