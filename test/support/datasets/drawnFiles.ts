/** Tiny images and label files of one look, for datasets that a test makes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { encode } from 'fast-png';
import sharp from 'sharp';

export interface DrawnImage {
  readonly height?: number;
  readonly width?: number;
  /** The label file's number at a pixel. */
  readonly label?: (y: number, x: number) => number;
}

const SIZE = { height: 40, width: 56 } as const;

/** Pixels that differ from place to place; another seed, other pixels. The ending says the format. */
export async function drawImage(file: string, seed: number, drawn: DrawnImage = {}): Promise<void> {
  const { height, width } = { ...SIZE, ...drawn };
  const rgb = Uint8Array.from(
    { length: height * width * 3 },
    (_, i) => (i * 37 + (i >> 7) * 11 + seed * 101) % 256,
  );
  mkdirSync(dirname(file), { recursive: true });
  await sharp(rgb, { raw: { height, width, channels: 3 } }).toFile(file);
}

/** A grey PNG of the labels. */
export function drawLabels(file: string, drawn: DrawnImage & Required<Pick<DrawnImage, 'label'>>) {
  const { height, width, label } = { ...SIZE, ...drawn };
  const data = Uint8Array.from({ length: height * width }, (_, i) =>
    label(Math.floor(i / width), i % width),
  );
  writeLabelPng(file, { data, height, width, channels: 1 });
}

/** Any PNG, so that a test can write those that no label file may be. */
export function writeLabelPng(file: string, image: Parameters<typeof encode>[0]): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, encode(image));
}
