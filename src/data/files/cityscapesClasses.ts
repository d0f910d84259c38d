/**
 * The labels of Cityscapes (Cordts et al. 2016): ids, names and colours as published with the dataset
 * (cityscapesScripts, helpers/labels.py). As with the published trainIds, the 19 evaluated ones become
 * classes 0 to 18 in the order of their ids; the others are ignored.
 */
import { type ClassEntry, type ClassTable, type Colour, classTable } from './classTable.js';

const IGNORED: readonly (readonly [id: number, name: string, colour: Colour])[] = [
  [0, 'unlabeled', [0, 0, 0]],
  [1, 'ego vehicle', [0, 0, 0]],
  [2, 'rectification border', [0, 0, 0]],
  [3, 'out of roi', [0, 0, 0]],
  [4, 'static', [0, 0, 0]],
  [5, 'dynamic', [111, 74, 0]],
  [6, 'ground', [81, 0, 81]],
  [9, 'parking', [250, 170, 160]],
  [10, 'rail track', [230, 150, 140]],
  [14, 'guard rail', [180, 165, 180]],
  [15, 'bridge', [150, 100, 100]],
  [16, 'tunnel', [150, 120, 90]],
  // The colour is pole's, so files of colours can't distinguish the two; pole takes precedence.
  [18, 'polegroup', [153, 153, 153]],
  [29, 'caravan', [0, 0, 90]],
  [30, 'trailer', [0, 0, 110]],
];

const EVALUATED: readonly (readonly [id: number, name: string, colour: Colour])[] = [
  [7, 'road', [128, 64, 128]],
  [8, 'sidewalk', [244, 35, 232]],
  [11, 'building', [70, 70, 70]],
  [12, 'wall', [102, 102, 156]],
  [13, 'fence', [190, 153, 153]],
  [17, 'pole', [153, 153, 153]],
  [19, 'traffic light', [250, 170, 30]],
  [20, 'traffic sign', [220, 220, 0]],
  [21, 'vegetation', [107, 142, 35]],
  [22, 'terrain', [152, 251, 152]],
  [23, 'sky', [70, 130, 180]],
  [24, 'person', [220, 20, 60]],
  [25, 'rider', [255, 0, 0]],
  [26, 'car', [0, 0, 142]],
  [27, 'truck', [0, 0, 70]],
  [28, 'bus', [0, 60, 100]],
  [31, 'train', [0, 80, 100]],
  [32, 'motorcycle', [0, 0, 230]],
  [33, 'bicycle', [119, 11, 32]],
];

/** Name and colour of each class, in the order of the class numbers. */
export const CITYSCAPES_CLASSES = EVALUATED.map(([, name, colour]) => [name, colour] as const);

const entries = (ignore: boolean) =>
  (ignore ? IGNORED : EVALUATED).map(
    ([id, name, colour]): ClassEntry => ({ id, name, colour, ignore }),
  );

/** For `*_labelIds.png`: 0 to 33, 255 ignored. */
export const CITYSCAPES_TABLE: ClassTable = classTable([...entries(false), ...entries(true)]);

/** For `*_labelTrainIds.png`, as cityscapesScripts makes them: 0 to 18, 255 ignored. */
export const CITYSCAPES_TRAIN_TABLE: ClassTable = classTable(
  entries(false).map((entry, id) => ({ ...entry, id })),
);
