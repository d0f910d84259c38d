/** Crops that are there already, different ones in each of a few batches. */
import type { Batch } from '../../src/data/types.js';
import type { BatchSource } from '../../src/train/feed.js';

export const STEP_IMAGES = 4;
export const CLASSES = 12;

/** `batches` of them, again and again. */
export function differentBatches(batches: number, height: number, width: number): BatchSource {
  const pixels = height * width;
  const labels = Uint8Array.from({ length: pixels }, (_, i) => Math.floor(i / 997) % CLASSES);
  const crops = Array.from({ length: batches * STEP_IMAGES }, (_, n) => ({
    sample: `made ${n}`,
    augmentationSeed: 1n,
    rgb: Uint8Array.from({ length: pixels * 3 }, (_, i) => (i * 131 + n * 7) % 251),
    labels,
  }));
  let step = 0;
  return {
    async next(): Promise<Batch> {
      const at = (step % batches) * STEP_IMAGES;
      const own = crops.slice(at, at + STEP_IMAGES);
      const samples = own.map(({ sample }) => sample);
      const batch = { step, height, width, samples, crops: own };
      step += 1;
      return batch;
    },
  };
}
