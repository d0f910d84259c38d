/** Detects which of a graph's outputs are logits and feature, and their stride. */
import { outputSize } from '../wire/checkTensor.js';
import { printable } from '../wire/printable.js';
import type { Trial, TrialOutput } from './trialRun.js';

/** A detected value and the reason for it, or the question that the user must answer. */
export type Detection<T> = { readonly value: T; readonly why: string } | { readonly ask: string };

/**
 * The output named `logits`; else the only output; else the only one with as many channels as `classes`.
 *
 * @param outputs at least one
 */
export function detectLogits(
  outputs: readonly TrialOutput[],
  classes: number | null,
): Detection<TrialOutput> {
  const named = outputs.find(({ name }) => name === 'logits');
  if (named !== undefined) return { value: named, why: 'its name' };
  const [first, ...others] = outputs;
  if (first !== undefined && others.length === 0) return { value: first, why: 'the only output' };
  const fitting = outputs.filter(({ channels }) => channels === classes);
  if (fitting.length === 1) return { value: fitting[0]!, why: `${classes} channels` };
  return { ask: `which of ${listed(outputs)} has the class scores` };
}

/**
 * The output named `feature`; else the only other output of the logits' size with a different number of
 * channels (auxiliary logits have the same number); null if there is none.
 */
export function detectFeature(
  outputs: readonly TrialOutput[],
  logits: TrialOutput,
): Detection<TrialOutput | null> {
  const named = outputs.find(({ name }) => name === 'feature');
  if (named !== undefined) return { value: named, why: 'its name' };
  const fitting = outputs.filter(
    (output) => sameSize(output, logits) && output.channels !== logits.channels,
  );
  if (fitting.length > 1) return { ask: `which of ${listed(fitting)}, or none` };
  const [only] = fitting;
  if (only !== undefined) return { value: only, why: "the only other output of the logits' size" };
  return { value: null, why: "no other output of the logits' size" };
}

export function sameSize(a: TrialOutput, b: TrialOutput): boolean {
  return a.height === b.height && a.width === b.width;
}

/** Input pixels per output position; undefined if no whole number fits both axes. */
export function strideOf(image: Omit<Trial, 'outputs'>, output: TrialOutput): number | undefined {
  const fits = (stride: number) => {
    const [height, width] = outputSize(image.height, image.width, stride);
    return height === output.height && width === output.width;
  };
  const exact = image.height / output.height;
  if (Number.isInteger(exact) && fits(exact)) return exact;
  // Small maps fit several strides; networks usually have a power of two.
  const all = Array.from({ length: image.height }, (_, index) => index + 1).filter(fits);
  return all.find((stride) => Number.isInteger(Math.log2(stride))) ?? all[0];
}

export function listed(outputs: readonly TrialOutput[]): string {
  return outputs.map(describeOutput).join(', ');
}

/** "out (21 channels, 9 x 13)" */
export function describeOutput({ name, channels, height, width }: TrialOutput): string {
  return `${printable(name)} (${channels} channels, ${height} x ${width})`;
}
