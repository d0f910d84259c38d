/** Describes a network: everything needed to build it except the weights. */

export type ModelName =
  | 'deeplabv3'
  | 'psp'
  | 'deeplab_mobile'
  | 'psp_mobile'
  | 'torchvision_deeplabv3'
  | 'torchvision_fcn'
  | 'mmseg_deeplabv3'
  | 'mmseg_psp'
  | 'segformer'
  | 'hf_segformer'
  | 'mmseg_segformer';

/**
 * v1: the code of the CVPR 2022 paper; v2: the newest commit. They differ in the head channels of some
 * networks; for the others, and for networks of other origin, both mean the same.
 */
export type Variant = 'v1' | 'v2';

export interface NetworkSpec {
  readonly model: ModelName;
  readonly backbone: string;
  readonly variant: Variant;
  readonly numClasses: number;
  /** Scales the channel counts of backbone and head; 1: the official network. */
  readonly widthMultiplier: number;
  /**
   * false: without the auxiliary head, as in torchvision's default and in files for inference. Default: with
   * it, if the network has one.
   */
  readonly auxHead?: boolean;
  /**
   * See SegmentationNetwork.alignCorners. Set only if it differs from other networks of the same origin:
   * mmsegmentation's configs for crops of 769 x 769 say align_corners=True.
   */
  readonly alignCorners?: boolean;
}

/** The fields of a file's network that are known already; only the others are detected. */
export type KnownSpec = { readonly [field in keyof NetworkSpec]?: NetworkSpec[field] | undefined };

/**
 * "deeplabv3-resnet18/v1", followed by " x0.25" if the width isn't the official one, " no-aux" without the
 * auxiliary head, and " align-corners" or " half-pixel" if the spec sets it.
 */
export function specName(spec: NetworkSpec): string {
  const width = spec.widthMultiplier === 1 ? '' : ` x${spec.widthMultiplier}`;
  const aux = spec.auxHead === false ? ' no-aux' : '';
  const resize = { true: ' align-corners', false: ' half-pixel', undefined: '' };
  const corners = resize[`${spec.alignCorners}`];
  return `${spec.model}-${spec.backbone}/${spec.variant}${width}${aux}${corners}`;
}

/** Maps a channel count of the official network to this network's. */
export type ChannelScale = (channels: number) => number;

/**
 * Rounds to multiples of 8, at least 8 and never more than a tenth below the exact product: the rule of
 * the MobileNet papers' reference code. A width of 1 keeps every official count.
 */
export function channelScale(widthMultiplier: number): ChannelScale {
  return (channels) => {
    if (widthMultiplier === 1) return channels;
    const wanted = channels * widthMultiplier;
    const rounded = Math.max(8, Math.floor((wanted + 4) / 8) * 8);
    return rounded < 0.9 * wanted ? rounded + 8 : rounded;
  };
}
