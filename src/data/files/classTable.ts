/** The classes of a dataset, and the meaning of the numbers and colours in its label files. */
import { IGNORE_LABEL } from '../types.js';

export type Colour = readonly [red: number, green: number, blue: number];

/** The meaning of one number, or one colour, in the label files. */
export interface ClassEntry {
  /** The number in the label files, 0..65535, or several. */
  readonly id: number | readonly number[];
  readonly name: string;
  readonly colour: Colour;
  /** The entry is no class and its pixels are ignored: void, the car's own bonnet. */
  readonly ignore: boolean;
}

export interface ClassTable {
  /** Name and colour of each class; the position is the class number in labels and networks. */
  readonly classNames: readonly string[];
  readonly palette: readonly Colour[];
  /** [65536]: class, IGNORE_LABEL or INVALID for every number that a label file can hold. */
  readonly classOfId: Int16Array;
  /** Class or IGNORE_LABEL, by `colourKey`. */
  readonly classOfColour: ReadonlyMap<number, number>;
}

/** Numbers that a label file can hold, with 16 bits. */
const IDS = 65_536;

/** In `classOfId`: the number isn't allowed in a label file. */
export const INVALID = -1;

/** 0xRRGGBB. */
export function colourKey(red: number, green: number, blue: number): number {
  return (red << 16) | (green << 8) | blue;
}

export function idsOf({ id }: Pick<ClassEntry, 'id'>): readonly number[] {
  return typeof id === 'number' ? [id] : id;
}

/**
 * Numbers classes in the order of their entries. The number 255 is ignored unless an entry has it. If two
 * entries share a colour, the first wins.
 *
 * @param entries with distinct ids and class names, and at most 254 classes.
 */
export function classTable(entries: readonly ClassEntry[]): ClassTable {
  const classOfId = new Int16Array(IDS).fill(INVALID);
  classOfId[IGNORE_LABEL] = IGNORE_LABEL;
  const classOfColour = new Map<number, number>();
  const classes = entries.filter(({ ignore }) => !ignore);
  for (const entry of entries) {
    const label = entry.ignore ? IGNORE_LABEL : classes.indexOf(entry);
    for (const id of idsOf(entry)) classOfId[id] = label;
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
