/** The classes of a dataset, and what the numbers and colours of its label files stand for. */
import { IGNORE_LABEL } from './types.js';

export type Colour = readonly [red: number, green: number, blue: number];

/** What one number of the label files, or one colour, means. */
export interface ClassEntry {
  /** The number in the label files, 0..255. */
  readonly id: number;
  readonly name: string;
  readonly colour: Colour;
  /** Its pixels count nowhere: void, the car's own bonnet. Such an entry is no class. */
  readonly ignore: boolean;
}

export interface ClassTable {
  /** Name and colour of each class; its position is the class number of labels and networks. */
  readonly classNames: readonly string[];
  readonly palette: readonly Colour[];
  /** Class, IGNORE_LABEL or INVALID for every number that a label file can hold: [256]. */
  readonly classOfId: Int16Array;
  /** Class or IGNORE_LABEL by `colourKey`. */
  readonly classOfColour: ReadonlyMap<number, number>;
}

/** In `classOfId`: no label file may hold this number. */
export const INVALID = -1;

/** 0xRRGGBB. */
export function colourKey(red: number, green: number, blue: number): number {
  return (red << 16) | (green << 8) | blue;
}

/**
 * Classes are numbered as their entries come. The number 255 is ignored unless an entry has it.
 * Of two entries with one colour the first counts.
 *
 * @param entries ids and class names differ from one another; 254 classes at most.
 */
export function classTable(entries: readonly ClassEntry[]): ClassTable {
  const classOfId = new Int16Array(256).fill(INVALID);
  classOfId[IGNORE_LABEL] = IGNORE_LABEL;
  const classOfColour = new Map<number, number>();
  const classes = entries.filter(({ ignore }) => !ignore);
  for (const entry of entries) {
    const label = entry.ignore ? IGNORE_LABEL : classes.indexOf(entry);
    classOfId[entry.id] = label;
    const key = colourKey(...entry.colour);
    if (!classOfColour.has(key)) classOfColour.set(key, label);
  }
  return {
    classNames: classes.map(({ name }) => name),
    palette: classes.map(({ colour }) => colour),
    classOfId,
    classOfColour,
  };
}
