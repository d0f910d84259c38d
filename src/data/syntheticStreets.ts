/**
 * Street scenes drawn by the project itself: a dataset of any size without files. Every scene has its own
 * camera, light, street and things. Classes share colours, so a network has to learn shape and position.
 */
import { createHash } from 'node:crypto';
import { drawsFor } from '../random/draws.js';
import { STREET_CLASSES } from './streets/classes.js';
import { GENERATOR_VERSION, renderScene } from './streets/scene.js';
import { DataError, type Dataset } from './types.js';

export type SyntheticSplit = 'train' | 'val';

/**
 * Part of the index of a scene's draws: keeps the splits' random streams separate for any number of
 * samples.
 */
const SPLIT_NUMBER: Readonly<Record<SyntheticSplit, number>> = { train: 0, val: 1 };

export interface SyntheticOptions {
  readonly split: SyntheticSplit;
  /** Number of scenes. Scene i doesn't depend on it. */
  readonly samples: number;
  /** Pixels. */
  readonly height: number;
  readonly width: number;
  readonly seed: number;
}

/** @throws DataError for an empty set or pictures of less than 16 pixels per side. */
export function syntheticStreets(options: SyntheticOptions): Dataset {
  const { split, samples, height, width, seed } = options;
  for (const [field, value, least] of [
    ['samples', samples, 1],
    ['height', height, 16],
    ['width', width, 16],
  ] as const) {
    if (!Number.isInteger(value) || value < least) {
      throw new DataError(
        `synthetic ${field}: got ${value}, wanted an integer of at least ${least}`,
      );
    }
  }
  const description = { version: GENERATOR_VERSION, split, samples, height, width, seed };
  return {
    name: `synthetic/${split}`,
    classNames: STREET_CLASSES.map(([name]) => name),
    palette: STREET_CLASSES.map(([, colour]) => colour),
    samples: Array.from({ length: samples }, (_, i) => `${split}/${String(i).padStart(6, '0')}`),
    digest: createHash('sha256')
      .update(`synthetic ${JSON.stringify(description)}`)
      .digest('hex'),
    async load(index) {
      if (!Number.isInteger(index) || index < 0 || index >= samples) {
        throw new DataError(`synthetic/${split}: got sample ${index}, wanted 0 to ${samples - 1}`);
      }
      return renderScene(drawsFor(seed, 'synthetic', index, SPLIT_NUMBER[split]), height, width);
    },
  };
}
