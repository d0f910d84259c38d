/** Which network: what it takes to build it, apart from the weights. */

export type ModelName =
  | 'deeplabv3'
  | 'psp'
  | 'deeplab_mobile'
  | 'psp_mobile'
  | 'torchvision_deeplabv3'
  | 'torchvision_fcn'
  | 'mmseg_deeplabv3'
  | 'mmseg_psp';

/**
 * v1: the code of the CVPR 2022 paper; v2: the newest commit. They differ in head channels. Where they
 * don't, and for networks of other origin, both are the same.
 */
export type Variant = 'v1' | 'v2';

export interface NetworkSpec {
  readonly model: ModelName;
  readonly backbone: string;
  readonly variant: Variant;
  readonly numClasses: number;
  /** Scales the channel counts of backbone and head; 1 is the official network. */
  readonly widthMultiplier: number;
  /**
   * false: without the auxiliary head that the network may have, as torchvision makes it unless asked and
   * as files for inference are. Unless given it is there.
   */
  readonly auxHead?: boolean;
  /**
   * See SegmentationNetwork.alignCorners. Given only where it differs from what networks of that origin
   * have: mmsegmentation's configs for crops of 769 x 769 say align_corners=True.
   */
  readonly alignCorners?: boolean;
}

/**
 * "deeplabv3-resnet18/v1", with " x0.25" behind it where the width isn't the official one, " no-aux"
 * without the auxiliary head, and " align-corners" or " half-pixel" where the spec says so.
 */
export function specName(spec: NetworkSpec): string {
  const width = spec.widthMultiplier === 1 ? '' : ` x${spec.widthMultiplier}`;
  const aux = spec.auxHead === false ? ' no-aux' : '';
  const resize = { true: ' align-corners', false: ' half-pixel', undefined: '' };
  const corners = resize[`${spec.alignCorners}`];
  return `${spec.model}-${spec.backbone}/${spec.variant}${width}${aux}${corners}`;
}

/** Channel counts of the official network to those of this one. */
export type ChannelScale = (channels: number) => number;

/**
 * Multiples of 8, at least 8, never more than a tenth below the exact product: the rule of the
 * MobileNet papers' reference code. A width of 1 leaves every official count as it is.
 */
export function channelScale(widthMultiplier: number): ChannelScale {
  return (channels) => {
    if (widthMultiplier === 1) return channels;
    const wanted = channels * widthMultiplier;
    const rounded = Math.max(8, Math.floor((wanted + 4) / 8) * 8);
    return rounded < 0.9 * wanted ? rounded + 8 : rounded;
  };
}
