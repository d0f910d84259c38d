/** Runs a graph on an image of zeros to find sizes that it doesn't state. */
import { ops, type Tensor, zeros } from '../tensor/index.js';
import { withoutControls } from '../wire/printable.js';
import type { Graph } from './graph.js';
import type { GraphLayout } from './graphSettings.js';

/** An output with four axes, for an image of trial size. */
export interface TrialOutput {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface Trial {
  /** Size of the image in pixels. */
  readonly height: number;
  readonly width: number;
  readonly outputs: readonly TrialOutput[];
}

/** null: a size that may vary between images. */
export type FixedSize = readonly [height: number | null, width: number | null];

/** Multiples of 32, which most networks with such a constraint accept. Smallest first, as it is fastest. */
const SIZES = [
  [64, 128],
  [512, 512],
  [512, 1024],
] as const;

/** Runs one image through the graph; an Error if the graph fails at every size tried. */
export async function trialRun(
  graph: Graph,
  layout: GraphLayout,
  [fixedHeight, fixedWidth]: FixedSize,
  outputs: readonly string[],
): Promise<Trial | Error> {
  const faults: string[] = [];
  const isFixed = fixedHeight !== null && fixedWidth !== null;
  for (const [height, width] of isFixed ? [[fixedHeight, fixedWidth] as const] : SIZES) {
    const size = { height: fixedHeight ?? height, width: fixedWidth ?? width };
    try {
      return { ...size, outputs: await runOnce(graph, layout, size, outputs) };
    } catch (error) {
      const why = withoutControls((error as Error).message);
      faults.push(`with an image of ${size.height} x ${size.width}: ${why}`);
    }
  }
  return new Error(faults.join('; '));
}

async function runOnce(
  graph: Graph,
  layout: GraphLayout,
  { height, width }: { readonly height: number; readonly width: number },
  names: readonly string[],
): Promise<TrialOutput[]> {
  const shape = layout === 'nchw' ? [1, 3, height, width] : [1, height, width, 3];
  const image = zeros(shape);
  try {
    const results = await graph.run(image, names);
    const shapes = results.map((tensor) => tensor.shape);
    for (const tensor of results) tensor.dispose();
    return shapes.flatMap((each, index) => outputOf(names[index]!, each, layout));
  } finally {
    image.dispose();
  }
}

function outputOf(name: string, shape: readonly number[], layout: GraphLayout): TrialOutput[] {
  if (shape.length !== 4 || shape[0] !== 1) return [];
  const [height, width, channels] = (layout === 'nchw' ? [2, 3, 1] : [1, 2, 3]).map(
    (axis) => shape[axis]!,
  ) as [number, number, number];
  return [{ name, height, width, channels }];
}

/** Converts [N, H, W, C] to the graph's layout. */
export function toLayout(image_NHWC: Tensor, layout: GraphLayout): Tensor {
  return layout === 'nhwc' ? image_NHWC : ops.transpose(image_NHWC, [0, 3, 1, 2]);
}

/** Converts the graph's layout to [N, h, w, C]. */
export function fromLayout(output: Tensor, layout: GraphLayout): Tensor {
  return layout === 'nhwc' ? output : ops.transpose(output, [0, 2, 3, 1]);
}
