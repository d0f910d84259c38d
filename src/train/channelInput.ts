/** The student's side of the channel terms: its feature, pooled and projected to the teacher's channels. */
import type { ChannelInput } from '../distill/objectiveInput.js';
import { cutAveragePoolOnTape } from '../losses/averagePool.js';
import { CHANNEL_POOLING } from '../losses/channel/channelRows.js';
import type { ForwardContext } from '../models/context.js';
import type { ProjectionHead } from '../models/projectionHead.js';

/** What the channel terms need. */
export interface ChannelParts {
  /** From the student's to the teacher's channels, after pooling. */
  readonly head: ProjectionHead;
  readonly choices: (step: number, microBatch: number) => ChannelInput['choices'];
}

export function channelInput(
  { head, choices }: ChannelParts,
  context: ForwardContext,
  step: number,
  microBatch: number,
): ChannelInput {
  return {
    project: (feature) =>
      head.forward(context, cutAveragePoolOnTape(context.tape, feature, CHANNEL_POOLING)),
    choices: choices(step, microBatch),
  };
}
