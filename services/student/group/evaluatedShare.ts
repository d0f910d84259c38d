/** One rank's part of an evaluation, in the form in which the ranks exchange it: a safetensors file. */
import type { SeenPixels } from '../../../src/evaluate/unlabelled.js';
import {
  formatSafetensors,
  type NamedTensor,
  parseSafetensors,
} from '../../../src/wire/safetensors.js';

export interface EvaluatedShare {
  /** Confusion matrix of the share, [truth, prediction], row-major; pixels. */
  readonly counts: Float64Array;
  readonly seen: SeenPixels;
  /** Class numbers, [H * W], of images that are to be shown, by their index in the list. */
  readonly predictions: ReadonlyMap<number, Uint8Array>;
}

const COUNTS = 'counts';
const SEEN = 'seen';
const PREDICTION = 'prediction.';

/** Float64 throughout, so that sums of pixels stay exact. */
export function formatShare({ counts, seen, predictions }: EvaluatedShare): Uint8Array {
  const tensors = new Map<string, NamedTensor>([
    [COUNTS, float64(counts)],
    [SEEN, float64(Float64Array.of(seen.images, seen.pixels))],
  ]);
  for (const [index, data] of predictions) {
    tensors.set(`${PREDICTION}${index}`, { dtype: 'U8', shape: [data.length], data });
  }
  return formatSafetensors(tensors);
}

export function parseShare(bytes: Uint8Array): EvaluatedShare {
  const { tensors } = parseSafetensors(bytes);
  const numbers = (name: string) => {
    // A copy: the file's bytes are at any offset.
    const { data } = tensors.get(name)!;
    return new Float64Array(data.slice().buffer);
  };
  const counts = numbers(COUNTS);
  const [images = 0, pixels = 0] = numbers(SEEN);
  const shown = [...tensors].filter(([name]) => name.startsWith(PREDICTION));
  return {
    counts,
    seen: { images, pixels },
    predictions: new Map(
      shown.map(([name, { data }]) => [Number(name.slice(PREDICTION.length)), data]),
    ),
  };
}

function float64(values: Float64Array): NamedTensor {
  const { buffer, byteOffset, byteLength } = values;
  return {
    dtype: 'F64',
    shape: [values.length],
    data: new Uint8Array(buffer, byteOffset, byteLength),
  };
}
