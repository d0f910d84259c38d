/** Chooses colours for a network's classes by the class names in its file. */
import { CAMVID_CLASSES } from '../data/files/camvid.js';
import { CITYSCAPES_CLASSES } from '../data/files/cityscapesClasses.js';
import { ADE20K_CLASSES } from '../data/files/classes/ade20k.js';
import { COCO_STUFF_CLASSES, COCO_STUFF_CLASSES_182 } from '../data/files/classes/cocoStuff.js';
import { VOC_CLASSES } from '../data/files/classes/voc.js';
import { generalPalette } from '../data/generalPalette.js';
import { STREET_CLASSES } from '../data/streets/classes.js';
import type { Palette } from './raster.js';

const KNOWN: readonly (readonly (readonly [string, Palette[number]])[])[] = [
  STREET_CLASSES,
  CAMVID_CLASSES,
  CITYSCAPES_CLASSES,
  VOC_CLASSES,
  ADE20K_CLASSES,
  COCO_STUFF_CLASSES,
  COCO_STUFF_CLASSES_182,
];

/** The colours of the known dataset with exactly these classes, else a general colour map. */
export function paletteOf(classNames: readonly string[]): Palette {
  const known = KNOWN.find((classes) => classes.map(([name]) => name).join() === classNames.join());
  return known?.map(([, colour]) => colour) ?? generalPalette(classNames.length);
}
