/** Folders in the layouts of VOC 2012, ADE20K and COCO-Stuff, of tiny images that a test draws. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type DrawnImage, drawImage, drawLabels, writeLabelPng } from './drawnFiles.js';

type Label = Required<Pick<DrawnImage, 'label'>>;

const SIZE = { height: 4, width: 64 };

/** Draws an image and its label file, both given as paths below the root. */
async function add(root: string, image: string, label: string, drawn: Label): Promise<void> {
  await drawImage(join(root, image), image.length, SIZE);
  drawLabels(join(root, label), { ...SIZE, ...drawn });
}

/** One line each; returns the file. */
export function writeList(root: string, path: string, lines: readonly string[]): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  return file;
}

/** `VOCdevkit/VOC2012`: palette PNGs in SegmentationClass, grey ones in SegmentationClassAug. */
export async function addVoc(
  root: string,
  name: string,
  folder: 'SegmentationClass' | 'SegmentationClassAug',
  label: DrawnImage['label'] & {},
): Promise<void> {
  const image = `JPEGImages/${name}.jpg`;
  await add(root, image, `${folder}/${name}.png`, { label });
  if (folder === 'SegmentationClassAug') return;
  const { height, width } = SIZE;
  const data = Uint8Array.from({ length: height * width }, (_, i) =>
    label(Math.floor(i / width), i % width),
  );
  // Colours that are none of VOC's: the index counts.
  const palette = Array.from(
    { length: 256 },
    (_, i) => [255 - i, 7, 7] as [number, number, number],
  );
  writeLabelPng(join(root, folder, `${name}.png`), { height, width, channels: 1, data, palette });
}

export async function addAde20k(
  root: string,
  split: 'training' | 'validation',
  name: string,
  label: DrawnImage['label'] & {},
): Promise<void> {
  await add(root, `images/${split}/${name}.jpg`, `annotations/${split}/${name}.png`, { label });
}

/** @param suffix of label files */
export async function addCocoStuff(
  root: string,
  split: 'train2017' | 'val2017',
  name: string,
  label: DrawnImage['label'] & {},
  suffix: '.png' | '_labelTrainIds.png' = '.png',
): Promise<void> {
  await add(root, `images/${split}/${name}.jpg`, `annotations/${split}/${name}${suffix}`, {
    label,
  });
}
