/** Colours as linear [red, green, blue], 0 to 1, and simple random draws. */
import type { Draws } from '../../random/draws.js';

export type Colour = readonly [number, number, number];

export function between(draws: Draws, low: number, high: number): number {
  return low + (high - low) * draws.uniform();
}

export function chance(draws: Draws, probability: number): boolean {
  return draws.uniform() < probability;
}

export function pick<T>(draws: Draws, list: readonly T[]): T {
  return list[draws.integer(list.length)]!;
}

/** @param hue in turns, any real number. */
export function hsv(hue: number, saturation: number, value: number): Colour {
  const channel = (shift: number) => {
    const k = (((hue * 6 + shift) % 6) + 6) % 6;
    return value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

export function times([r, g, b]: Colour, factor: number): Colour {
  return [r * factor, g * factor, b * factor];
}

export function mix(a: Colour, b: Colour, share: number): Colour {
  const part = (i: 0 | 1 | 2) => a[i] + (b[i] - a[i]) * share;
  return [part(0), part(1), part(2)];
}

/**
 * Grey, brick, plaster, asphalt: colours shared by walls, roads, pavements, trunks, cars and coats, so that
 * colour alone doesn't distinguish them.
 */
export function drab(draws: Draws, dark: number, light: number): Colour {
  return hsv(between(draws, 0, 0.16), between(draws, 0, 0.22), between(draws, dark, light));
}

/** Leaves and grass, from fresh to autumn. */
export function foliage(draws: Draws): Colour {
  const hue = chance(draws, 0.25) ? between(draws, 0.04, 0.15) : between(draws, 0.18, 0.36);
  return hsv(hue, between(draws, 0.25, 0.65), between(draws, 0.14, 0.42));
}

/** Paint, cloth, plastic: drab half of the time, else any hue. */
export function paint(draws: Draws): Colour {
  if (chance(draws, 0.5)) return drab(draws, 0.04, 0.8);
  return hsv(draws.uniform(), between(draws, 0.2, 0.8), between(draws, 0.1, 0.7));
}
