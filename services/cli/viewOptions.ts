/** The options for how a command presents images to a network. */
import type { Views } from '../../src/evaluate/views.js';
import { type Size, usualStride } from '../../src/evaluate/windows.js';
import { UsageError } from './command.js';
import { wholeNumber } from './datasetOptions.js';

/** For node:util's parseArgs. */
export const VIEW_OPTIONS = {
  scales: { type: 'string', default: '1' },
  flip: { type: 'boolean', default: false },
  window: { type: 'string' },
  stride: { type: 'string' },
  batch: { type: 'string', default: '2' },
} as const;

export const VIEW_USAGE = `  --scales A,B,C  scales to average over: factors on the size (default 1), e.g. 0.5,0.75,1,1.25,1.5,1.75
  --flip          also mirrors each scale; the logits are averaged, as in the official test script
  --window HxW    in windows of this size, with logits averaged where they overlap (default: whole images)
  --stride HxW    step from one window to the next (default two thirds of the window)
  --batch N       windows per forward pass (default 2)`;

export interface ViewValues {
  readonly scales: string;
  readonly flip: boolean;
  readonly window?: string | undefined;
  readonly stride?: string | undefined;
  readonly batch: string;
}

/** Throws UsageError naming the option. */
export function viewsFromOptions(values: ViewValues): Views {
  const { window, stride } = values;
  if (window === undefined && stride !== undefined) {
    throw new UsageError('--stride: given without --window');
  }
  const batch = wholeNumber('--batch', values.batch, 1);
  const size = window === undefined ? null : sizeOf('--window', window);
  return {
    scales: scalesOf(values.scales),
    flip: values.flip,
    window:
      size === null
        ? null
        : {
            size,
            batch,
            stride: stride === undefined ? usualStride(size) : strideOf(stride, size),
          },
  };
}

/** How images were presented, for a scores file. */
export function describeViews({ scales, flip, window }: Views): Record<string, unknown> {
  const pixels = ({ height, width }: Size) => [height, width];
  const { size, stride } = window ?? {};
  return {
    scales,
    flip,
    window: size === undefined ? null : pixels(size),
    stride: stride === undefined ? null : pixels(stride),
  };
}

function scalesOf(text: string): number[] {
  const parts = text.split(',');
  const scales = parts.map(Number);
  if (
    parts.some((part) => part.trim() === '') ||
    !scales.every((scale) => scale > 0 && scale <= 8)
  ) {
    throw new UsageError(
      `--scales: ${text} given, wanted numbers from above 0 to 8, separated by commas`,
    );
  }
  const twice = scales.find((scale, i) => scales.indexOf(scale) !== i);
  if (twice !== undefined) throw new UsageError(`--scales: ${twice} given twice`);
  return scales;
}

/** Pixels that no window covers would have no logits. */
function strideOf(text: string, window: Size): Size {
  const stride = sizeOf('--stride', text);
  if (stride.height > window.height || stride.width > window.width) {
    throw new UsageError(
      `--stride: ${text} given, wanted at most the window, ${window.height}x${window.width}`,
    );
  }
  return stride;
}

function sizeOf(option: string, text: string): Size {
  const [, height, width] = /^(\d{1,6})x(\d{1,6})$/.exec(text) ?? [];
  const size = { height: Number(height), width: Number(width) };
  if (!(size.height > 0 && size.width > 0)) {
    throw new UsageError(`${option}: ${text} given, wanted HEIGHTxWIDTH in pixels`);
  }
  return size;
}
