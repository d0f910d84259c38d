/** Chooses colours for a network's classes by the class names in its file. */
import { CAMVID_CLASSES } from '../data/files/camvid.js';
import { CITYSCAPES_CLASSES } from '../data/files/cityscapesClasses.js';
import { STREET_CLASSES } from '../data/streets/classes.js';
import type { Palette } from './raster.js';

const KNOWN: readonly (readonly (readonly [string, Palette[number]])[])[] = [
  STREET_CLASSES,
  CAMVID_CLASSES,
  CITYSCAPES_CLASSES,
];

/** The colours of the known dataset with exactly these classes, else a general colour map. */
export function paletteOf(classNames: readonly string[]): Palette {
  const known = KNOWN.find((classes) => classes.map(([name]) => name).join() === classNames.join());
  return known?.map(([, colour]) => colour) ?? generalPalette(classNames.length);
}

/**
 * The colour map of the PASCAL VOC development kit (Everingham et al., 2010): the bits of the class
 * number, three at a time, become the high bits of red, green and blue. Class 0 is black.
 */
export function generalPalette(classes: number): Palette {
  return Array.from({ length: classes }, (_, label) => {
    const colour: [number, number, number] = [0, 0, 0];
    for (let bits = label, bit = 7; bits > 0; bits >>= 3, bit--) {
      for (const channel of [0, 1, 2] as const) {
        colour[channel] |= ((bits >> channel) & 1) << bit;
      }
    }
    return colour;
  });
}
