/** Which of a graph's outputs are logits and feature, and at what stride they are. */
import { outputSize } from '../wire/checkTensor.js';
import { printable } from '../wire/printable.js';
import type { Trial, TrialOutput } from './trialRun.js';

/** Known and why, or what has to be asked. */
export type Told<T> = { readonly value: T; readonly why: string } | { readonly ask: string };

/**
 * By the name `logits`, by the number of classes where that is said, or the only output there is.
 *
 * @param outputs at least one
 */
export function tellLogits(
  outputs: readonly TrialOutput[],
  classes: number | null,
): Told<TrialOutput> {
  const named = outputs.find(({ name }) => name === 'logits');
  if (named !== undefined) return { value: named, why: 'its name' };
  const [first, ...others] = outputs;
  if (first !== undefined && others.length === 0) return { value: first, why: 'the only output' };
  const fitting = outputs.filter(({ channels }) => channels === classes);
  if (fitting.length === 1) return { value: fitting[0]!, why: `${classes} channels` };
  return { ask: `which of ${listed(outputs)} has the class scores` };
}

/**
 * By the name `feature`, or the only other output of the logits' size that has another number of channels
 * (auxiliary logits have the same); null where there is none.
 */
export function tellFeature(
  outputs: readonly TrialOutput[],
  logits: TrialOutput,
): Told<TrialOutput | null> {
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

/** Input pixels to a position; undefined where no whole number fits both axes. */
export function strideOf(image: Omit<Trial, 'outputs'>, output: TrialOutput): number | undefined {
  const fits = (stride: number) => {
    const [height, width] = outputSize(image.height, image.width, stride);
    return height === output.height && width === output.width;
  };
  const exact = image.height / output.height;
  if (Number.isInteger(exact) && fits(exact)) return exact;
  // Small maps leave a choice: a power of two is what networks have.
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
