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
}

/**
 * "deeplabv3-resnet18/v1", with " x0.25" behind it where the width isn't the official one, and " no-aux"
 * without the auxiliary head.
 */
export function specName(spec: NetworkSpec): string {
  const width = spec.widthMultiplier === 1 ? '' : ` x${spec.widthMultiplier}`;
  const aux = spec.auxHead === false ? ' no-aux' : '';
  return `${spec.model}-${spec.backbone}/${spec.variant}${width}${aux}`;
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
