/** What heads know of a backbone. */
import type { Var } from '../tensor/index.js';
import type { ForwardContext } from './context.js';

export interface Backbone {
  /** Channels of the last feature map, at stride 8. */
  readonly channels: number;
  /** Channels of the map that an auxiliary head takes; null where there is none. */
  readonly auxChannels: number | null;
  forward(context: ForwardContext, image_NHWC: Var): { feature: Var; aux: Var | null };
}
