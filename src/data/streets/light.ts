/** Time of day and weather. */
import type { Draws } from '../../random/draws.js';
import { between, type Colour, chance, hsv, pick } from './colour.js';

export interface Light {
  readonly kind: 'sun' | 'overcast' | 'dusk' | 'night' | 'fog';
  /** Colour of the light that falls on everything. */
  readonly cast: Colour;
  /** Factor of the light in shadow. */
  readonly shadow: number;
  /** Metres of shadow per metre of height, to the right and ahead. */
  readonly sunX: number;
  readonly sunZ: number;
  readonly skyTop: Colour;
  readonly skyHorizon: Colour;
  readonly clouds: number;
  /** 1 / metres. */
  readonly fog: number;
  /** Share of lit windows. */
  readonly litWindows: number;
  readonly exposure: number;
}

/** Kinds are repeated according to their frequency. */
const KINDS = ['sun', 'sun', 'sun', 'overcast', 'overcast', 'dusk', 'night', 'fog'] as const;

export function drawLight(draws: Draws): Light {
  const kind = pick<Light['kind']>(draws, KINDS);
  const side = chance(draws, 0.5) ? 1 : -1;
  const base = {
    kind,
    sunX: side * between(draws, 0.2, 1.3),
    sunZ: between(draws, -0.7, 0.9),
    exposure: Math.exp(between(draws, -0.35, 0.35)),
    clouds: between(draws, 0, 1),
    fog: between(draws, 0.0005, 0.004),
    litWindows: 0.02,
  };
  // Warmer or colder than usual.
  const warm = between(draws, -0.06, 0.06);
  switch (kind) {
    case 'sun':
      return { ...base, ...sun(draws, warm), exposure: base.exposure * 1.35 };
    case 'overcast':
      return { ...base, ...overcast(draws, warm) };
    case 'fog':
      return { ...base, ...overcast(draws, warm), fog: between(draws, 0.012, 0.035) };
    case 'dusk':
      return { ...base, ...dusk(draws, warm), litWindows: 0.2 };
    case 'night':
      return { ...base, ...night(draws, warm), litWindows: 0.35, exposure: base.exposure * 1.6 };
  }
}

type Sky = Pick<Light, 'cast' | 'shadow' | 'skyTop' | 'skyHorizon'>;

function sun(draws: Draws, warm: number): Sky {
  const blue = between(draws, 0.56, 0.62);
  return {
    cast: [1.12 + warm, 1.05, 0.95 - warm],
    shadow: between(draws, 0.25, 0.5),
    skyTop: hsv(blue, between(draws, 0.5, 0.85), between(draws, 0.35, 0.7)),
    skyHorizon: hsv(0.56, between(draws, 0.1, 0.35), between(draws, 0.6, 0.85)),
  };
}

function overcast(draws: Draws, warm: number): Sky {
  const grey = between(draws, 0.45, 0.9);
  return {
    cast: [0.85 + warm, 0.87, 0.9 - warm],
    shadow: between(draws, 0.75, 0.95),
    skyTop: [grey * 0.92, grey * 0.96, grey],
    skyHorizon: [grey * 1.05, grey * 1.05, grey * 1.05],
  };
}

function dusk(draws: Draws, warm: number): Sky {
  const red = between(draws, 0.02, 0.1);
  return {
    cast: [0.85 + warm, 0.62, 0.48 - warm],
    shadow: between(draws, 0.4, 0.7),
    skyTop: hsv(between(draws, 0.58, 0.75), 0.45, between(draws, 0.3, 0.5)),
    skyHorizon: hsv(red, between(draws, 0.3, 0.6), between(draws, 0.6, 0.9)),
  };
}

function night(draws: Draws, warm: number): Sky {
  return {
    cast: [0.3 + warm, 0.29, 0.36 - warm],
    shadow: between(draws, 0.5, 0.8),
    skyTop: hsv(between(draws, 0.6, 0.7), 0.5, between(draws, 0.03, 0.1)),
    skyHorizon: hsv(between(draws, 0.05, 0.7), 0.3, between(draws, 0.08, 0.22)),
  };
}
