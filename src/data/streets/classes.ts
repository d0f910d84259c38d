/** The classes of the synthetic streets. The order is the label: never reorder. */

export const STREET_CLASSES = [
  ['road', [128, 64, 128]],
  ['lane_marking', [250, 250, 180]],
  ['sidewalk', [244, 35, 232]],
  ['terrain', [152, 251, 152]],
  ['building', [90, 90, 90]],
  ['pole', [250, 170, 30]],
  ['sign', [220, 220, 0]],
  ['tree', [50, 120, 30]],
  ['sky', [70, 130, 180]],
  ['person', [220, 20, 60]],
  ['car', [0, 0, 142]],
  ['bicycle', [119, 11, 32]],
] as const satisfies readonly (readonly [string, readonly [number, number, number]])[];

export const ROAD = 0;
export const LANE_MARKING = 1;
export const SIDEWALK = 2;
export const TERRAIN = 3;
export const BUILDING = 4;
export const POLE = 5;
export const SIGN = 6;
export const TREE = 7;
export const SKY = 8;
export const PERSON = 9;
export const CAR = 10;
export const BICYCLE = 11;
