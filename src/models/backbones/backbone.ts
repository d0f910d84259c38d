/** The part of a backbone that heads depend on. */
import type { Var } from '../../tensor/index.js';
import type { ForwardContext } from '../context.js';

export interface Backbone {
  /** Channels of the last feature map, at stride 8. */
  readonly channels: number;
  /** Channels of the map that feeds an auxiliary head; null if the backbone has no such map. */
  readonly auxChannels: number | null;
  /** `wantsAux`: whether the map for an auxiliary head is needed; without it memory is freed earlier. */
  forward(
    context: ForwardContext,
    image_NHWC: Var,
    wantsAux: boolean,
  ): { feature: Var; aux: Var | null };
}
