/** What is counted of one sample. */
import { createHash } from 'node:crypto';
import type { Dataset } from '../types.js';

/** Values that a label can have. */
const VALUES = 256;

export interface Inspection {
  readonly height: number;
  readonly width: number;
  /** [256]: pixels with each label: classes, IGNORE_LABEL, UNLABELLED. */
  readonly pixelsOfLabel: Uint32Array;
  /** sha256 (hex) of the image's size and decoded pixels. */
  readonly imageDigest: string;
  readonly warning?: string;
  readonly orientation?: number;
}

/** Throws DataError, as the dataset does. */
export async function inspectSample(dataset: Dataset, index: number): Promise<Inspection> {
  const { rgb, labels, ...sample } = await dataset.load(index);
  const pixelsOfLabel = new Uint32Array(VALUES);
  for (let i = 0; i < labels.length; i++) pixelsOfLabel[labels[i]!]!++;
  const hash = createHash('sha256').update(`${sample.height}x${sample.width}\n`).update(rgb);
  return { ...sample, pixelsOfLabel, imageDigest: hash.digest('hex') };
}
