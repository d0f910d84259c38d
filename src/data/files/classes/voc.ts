/**
 * PASCAL VOC 2012 (Everingham et al. 2010): the background and 20 objects, in the order of the labels. The colours are
 * those of the development kit's colour map, which its label files have as their palette.
 */
import { generalPalette } from '../../generalPalette.js';
import { type ClassTable, type Colour, classTable } from '../classTable.js';

const NAMES = [
  'background',
  'aeroplane',
  'bicycle',
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'chair',
  'cow',
  'diningtable',
  'dog',
  'horse',
  'motorbike',
  'person',
  'pottedplant',
  'sheep',
  'sofa',
  'train',
  'tvmonitor',
] as const;

/** Name and colour of each class, in the order of the class numbers. */
export const VOC_CLASSES: readonly (readonly [name: string, colour: Colour])[] = generalPalette(
  NAMES.length,
).map((colour, id) => [NAMES[id]!, colour] as const);

/** For the palette indices of the label files: 0 to 20, 255 ignored. */
export const VOC_TABLE: ClassTable = classTable(
  VOC_CLASSES.map(([name, colour], id) => ({ id, name, colour, ignore: false })),
);
