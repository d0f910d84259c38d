/** Crops that are there already: neither loader nor augmentation is measured. */
import type { Batch } from '../../src/data/types.js';
import type { BatchSource } from '../../src/train/feed.js';

export const STEP_IMAGES = 2;

/** The same batch again and again; every pixel of a label block has one class. */
export function madeBatches(height: number, width: number, classes: number): BatchSource {
  const rgb = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 131) % 251);
  const labels = Uint8Array.from(
    { length: height * width },
    (_, i) => Math.floor(i / 997) % classes,
  );
  const crop = (index: number) => ({ sample: `made ${index}`, augmentationSeed: 1n, rgb, labels });
  const crops = Array.from({ length: STEP_IMAGES }, (_, index) => crop(index));
  const samples = crops.map(({ sample }) => sample);
  const batch = { height, width, samples, crops } as unknown as Batch;
  return { next: () => Promise.resolve(batch) };
}
