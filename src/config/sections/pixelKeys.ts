/** The pixels of a network that others have made, spelled out: in place of `normalisation`. */
import { z } from 'zod';
import { field, positive } from '../fields.js';

const three = (number: z.ZodNumber) => z.tuple([number, number, number]);

/** @param what what expects the pixels, as docs/config.md calls it */
export function pixelKeys(what: 'graph' | 'model') {
  return {
    pixelMean: field(
      three(z.number()).nullable().default(null),
      'Instead of normalisation: subtracted from pixels, on the 0..255 scale, in channelOrder.',
      { wanted: 'a list of three numbers, or null' },
    ),
    pixelStd: field(
      three(positive()).nullable().default(null),
      'Instead of normalisation: divides pixels after pixelMean was subtracted, in channelOrder.',
      { wanted: 'a list of three numbers > 0, or null' },
    ),
    channelOrder: field(
      z.enum(['rgb', 'bgr']).nullable().default(null),
      `Instead of normalisation: the order of the channels that the ${what} expects.`,
      { wanted: 'rgb, bgr, or null' },
    ),
  };
}
