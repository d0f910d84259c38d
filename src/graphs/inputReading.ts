/** Reads a graph's input: its layout and its fixed sizes. */
import type { PixelNormalisation } from '../models/normalise.js';
import { printable } from '../wire/printable.js';
import type { GraphTensor } from './graph.js';
import type { GraphLayout } from './graphSettings.js';
import type { FixedSize } from './trialRun.js';

export interface InputReading {
  /** null: the shape doesn't show it. */
  readonly layout: GraphLayout | null;
  /** The graph takes one image at a time. */
  readonly isSingle: boolean;
  readonly size: FixedSize;
}

const CHANNELS = 3;
const LAYOUTS = ['nchw', 'nhwc'] as const;
const CHANNEL_AXIS = { nchw: 1, nhwc: 3 } as const;

/** Returns an Error if the input can't be an image. @param given the layout from the settings, or null */
export function readInput(input: GraphTensor, given: GraphLayout | null): InputReading | Error {
  const { shape } = input;
  if (shape === undefined) return { layout: given, isSingle: false, size: [null, null] };
  const fault = `input '${printable(input.name)}': ${shapeText(shape)} given`;
  if (shape.length !== 4) {
    return new Error(`${fault}, wanted four axes: images, height, width and ${CHANNELS} channels`);
  }
  const layouts = LAYOUTS.filter((each) => given === null || each === given);
  const stated = LAYOUTS.filter((each) => shape[CHANNEL_AXIS[each]] === CHANNELS);
  const open = layouts.filter((each) => shape[CHANNEL_AXIS[each]] === null && stated.length === 0);
  const possible = [...layouts.filter((each) => stated.includes(each)), ...open];
  if (possible.length === 0) {
    const axes = layouts.map((each) => CHANNEL_AXIS[each]).join(' or ');
    return new Error(`${fault}, wanted ${CHANNELS} channels on axis ${axes}`);
  }
  const batch = shape[0]!;
  if (batch !== null && batch !== 1) {
    return new Error(`${fault}, wanted one image at a time or any number of them, not ${batch}`);
  }
  const layout = given ?? (stated.length === 1 ? stated[0]! : null);
  const [height, width] = layout === 'nhwc' ? [shape[1]!, shape[2]!] : [shape[2]!, shape[3]!];
  return { layout, isSingle: batch === 1, size: [height, width] };
}

/** Why the input can't hold pixels normalised like this; null if it can. */
export function dtypeFault(
  { name, dtype }: GraphTensor,
  normalisation: PixelNormalisation,
): string | null {
  const { pixelMean, pixelStd } = normalisation;
  const isPlain = pixelMean.every((mean) => mean === 0) && pixelStd.every((std) => std === 1);
  if (dtype !== 'uint8' || isPlain) return null;
  return `normalisation: ${normalisationText(normalisation)}, but input '${printable(name)}' is uint8, wanted normalisation: none`;
}

/** "rgb less 0, 0, 0, divided by 255, 255, 255" */
export function normalisationText(normalisation: PixelNormalisation): string {
  const { pixelMean, pixelStd, channelOrder } = normalisation;
  return `${channelOrder} minus ${pixelMean.join(', ')}, divided by ${pixelStd.join(', ')}`;
}

/** "[?, 3, 512, ?]" */
export function shapeText(shape: GraphTensor['shape']): string {
  if (shape === undefined) return '[…]';
  return `[${shape.map((size) => size ?? '?').join(', ')}]`;
}
