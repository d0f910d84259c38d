/** data: the samples, and how they are loaded, cropped and augmented. */
import { z } from 'zod';
import { count, field, positive, positiveCount, section, text } from '../fields.js';

/** Keys that data.train has for every kind, and data.val has not. */
const labelSource = {
  labels: field(
    z.enum(['file', 'teacher']).default('file'),
    "file: label files; teacher: the class with the teacher's largest logit, without label files.",
    { fixed: true },
  ),
  minConfidence: field(
    z.number().min(0).lt(1).default(0.5),
    'With labels: teacher, pixels whose class has at most this probability get no label.',
    { fixed: true },
  ),
};

const syntheticKeys = {
  kind: field(z.literal('synthetic'), 'Generated street scenes.', { fixed: true }),
  samples: field(positiveCount(), 'Number of scenes.', { fixed: true }),
  height: field(z.number().int().min(16).max(8192).default(128), 'Height of a scene.', {
    unit: 'pixels',
    fixed: true,
  }),
  width: field(z.number().int().min(16).max(8192).default(256), 'Width of a scene.', {
    unit: 'pixels',
    fixed: true,
  }),
  seed: field(
    z.number().int().min(0).max(0xffffffff).default(0),
    'Seed of the scenes; train and val need different seeds.',
    { fixed: true },
  ),
};

// Folders and lists may move before a run is resumed: the dataset hash detects changed content.
const camvidKeys = {
  kind: field(z.literal('camvid'), 'CamVid as prepared for SegNet, from a folder.', {
    fixed: true,
  }),
  root: field(text(), 'Folder that contains train/, trainannot/, val/ and valannot/.', {
    isPath: true,
  }),
  list: field(
    text().nullable().default(null),
    'File with one sample per line; null: <split>.lst in root if it exists, else the whole folder, sorted.',
    { isPath: true },
  ),
};

const cityscapesKeys = {
  kind: field(z.literal('cityscapes'), 'Cityscapes with fine annotations, from a folder.', {
    fixed: true,
  }),
  root: field(text(), 'Folder that contains leftImg8bit/ and gtFine/.', { isPath: true }),
  list: field(
    text().nullable().default(null),
    'File with one image and its label file per line, as paths relative to root; null: the whole split, sorted.',
    { isPath: true },
  ),
};

const list = () =>
  field(
    text().nullable().default(null),
    'File with one sample, or one image and its label file, per line; null: the whole split, sorted.',
    { isPath: true },
  );

const vocKeys = {
  kind: field(z.literal('voc'), 'PASCAL VOC 2012, with or without SBD, from a folder.', {
    fixed: true,
  }),
  root: field(text(), 'Folder that contains JPEGImages/ and SegmentationClass(Aug)/.', {
    isPath: true,
  }),
  list: field(
    text().nullable().default(null),
    'File with one sample, or one image and its label file, per line; null: the list in ImageSets/Segmentation/.',
    { isPath: true },
  ),
};

const ade20kKeys = {
  kind: field(z.literal('ade20k'), "ADE20K's scene parsing benchmark, from a folder.", {
    fixed: true,
  }),
  root: field(text(), 'Folder that contains images/ and annotations/.', { isPath: true }),
  list: list(),
};

const cocoStuffKeys = {
  kind: field(z.literal('cocostuff'), 'COCO-Stuff 164k, from a folder.', { fixed: true }),
  root: field(text(), 'Folder that contains images/ and annotations/.', { isPath: true }),
  list: list(),
  classes: field(
    z.union([z.literal(171), z.literal(182)]).default(171),
    "171: the classes that have pixels; 182: the label maps' numbers, as in the official code.",
    { fixed: true },
  ),
};

const folderKeys = {
  kind: field(z.literal('folder'), 'Any folder of images.', { fixed: true }),
  imageFolder: field(text(), 'Folder of images, searched at any depth.', { isPath: true }),
  labelFolder: field(
    text().nullable().default(null),
    'Folder of label PNGs with the same paths, or imageFolder itself; null: there are none (labels: teacher).',
    { isPath: true },
  ),
  imageSuffix: field(
    text().nullable().default(null),
    "End of the images' names, such as .jpg or _image.png; null: any ending of an image.",
  ),
  labelSuffix: field(
    text().default('.png'),
    "End of the label files' names in place of imageSuffix: _mask.png for 0_mask.png beside 0.jpg.",
  ),
  list: field(
    text().nullable().default(null),
    'File with one sample, or one image and its label file, per line; null: every image, sorted.',
    { isPath: true },
  ),
  classTable: field(
    text(),
    'File with the list of classes, or the name of a dataset for its classes (docs/data.md).',
    { isPath: true },
  ),
  labelValues: field(
    z.enum(['index', 'colour']).default('index'),
    'Content of label PNGs. index: ids (grey values or palette indices); colour: the colours of the classes.',
    { fixed: true },
  ),
  reduceZeroLabel: field(
    z.boolean().default(false),
    'Label 0 is ignored, and label n means id n - 1 of the class table (mmsegmentation).',
    { fixed: true },
  ),
  whiteValue: field(
    positive().nullable().default(null),
    'Stored value of white in images of more than 8 bits: 4095 for 12 bits in 16; null: 16 full bits, or floats from 0 to 1 or to 255.',
    { fixed: true },
  ),
};

/** Adds further keys to every kind of dataset. */
const dataset = <More extends z.ZodRawShape>(more: More) =>
  z.discriminatedUnion('kind', [
    z.strictObject({ ...syntheticKeys, ...more }),
    z.strictObject({ ...camvidKeys, ...more }),
    z.strictObject({ ...cityscapesKeys, ...more }),
    z.strictObject({ ...vocKeys, ...more }),
    z.strictObject({ ...ade20kKeys, ...more }),
    z.strictObject({ ...cocoStuffKeys, ...more }),
    z.strictObject({ ...folderKeys, ...more }),
  ]);

const colour = () => z.number().int().min(0).max(255);

const scale = section(
  'Random scaling before the crop.',
  {
    min: field(positive().max(16).default(0.5), 'Smallest factor.'),
    max: field(positive().max(16).default(2), 'Largest factor.'),
    step: field(
      z.number().min(0).max(16).default(0.1),
      'Factors are min, min + step, ... up to max; 0: any factor between min and max.',
    ),
  },
  { fixed: true },
);

export const dataSection = section('Samples and augmentation.', {
  train: field(dataset(labelSource), 'Training data.'),
  val: field(dataset({}), 'Evaluation data.'),
  workers: field(
    count().max(256).default(0),
    'Threads that load and augment samples; 0: one per available core, at most 4. No influence on the result.',
  ),
  prefetchBatches: field(
    positiveCount().max(1024).default(4),
    'Batches prepared ahead of the training step; no influence on the result.',
    { unit: 'batches' },
  ),
  cacheMiB: field(count().default(512), 'Decoded samples kept in memory; 0: none.', {
    unit: 'MiB',
  }),
  crop: section(
    'Size of a training crop; smaller images are padded.',
    {
      height: field(positiveCount().max(16_384).default(512), 'Height.', { unit: 'pixels' }),
      width: field(positiveCount().max(16_384).default(1024), 'Width.', { unit: 'pixels' }),
    },
    { fixed: true },
  ),
  augmentation: field(
    z.enum(['random', 'off']).default('random'),
    'random: scale, place and mirror of a crop are drawn; off: the centre of the unscaled image, the same in every epoch.',
    { fixed: true },
  ),
  fixedCrops: field(
    count().max(1_000_000).default(0),
    'Number of different random crops of each sample, which come again after as many epochs; 0: new ones in every epoch.',
    { fixed: true },
  ),
  scale,
  mirror: field(z.boolean().default(true), 'Mirror each crop with probability 1/2.', {
    fixed: true,
  }),
  paddingPixel: field(
    z.tuple([colour(), colour(), colour()]).default([124, 116, 104]),
    'R, G, B of padding where a crop extends beyond the image; labels there are ignored.',
    { unit: '0..255', fixed: true },
  ),
});
