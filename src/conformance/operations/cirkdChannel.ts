/** op `cirkd_channel`: enqueue, projection head and the channel terms of CIRKD's second version. */
import type { ChannelTerm } from '../../contract/terms.js';
import { type ChannelTermSettings, channelTerms } from '../../distill/channelTerms.js';
import { cutAveragePoolOnTape } from '../../losses/averagePool.js';
import { CHANNEL_POOLING } from '../../losses/channel/channelRows.js';
import type { ChannelMemoryBank } from '../../memory/channelMemoryBank.js';
import { StagedBuffers } from '../../models/buffers.js';
import { ProjectionHead } from '../../models/projectionHead.js';
import { onTape, type Tape } from '../../tensor/index.js';
import { goldenChannelBank } from '../channelBank.js';
import { hostTensor } from '../hostTensor.js';
import {
  type GoldenCase,
  GoldenError,
  type HostTensor,
  type OperationOptions,
  type OperationResult,
} from '../operation.js';
import { storedChannelChoices } from '../storedChoices.js';
import { channelsFirst, channelsLast, hostScalar, tilingOf, travelledFeature } from '../tensors.js';

export function cirkdChannel(golden: GoldenCase, options: OperationOptions): OperationResult {
  const head = ProjectionHead.create(golden.number('Cs'), golden.number('Ct'), (name) =>
    golden.float32(name).data.slice(),
  );
  try {
    return onTape((tape) => {
      const teacher_NHWD = travelledFeature(golden.float32('teacher_features'));
      const [, height = 0, width = 0] = teacher_NHWD.shape;
      const bank = goldenChannelBank(golden, pooled(height) * pooled(width));
      return forwardAndBack(golden, head, bank, tape, settingsOf(golden, options));
    });
  } finally {
    head.dispose();
  }
}

const pooled = (length: number) => Math.ceil(length / CHANNEL_POOLING);

function forwardAndBack(
  golden: GoldenCase,
  head: ProjectionHead,
  bank: ChannelMemoryBank,
  tape: Tape,
  settings: ChannelTermSettings,
): OperationResult {
  const feature = tape.leaf(channelsLast(golden.float32('student_features')));
  const staged = new StagedBuffers();
  const context = { tape, training: true, dropoutSeed: null, staged };
  const projected = head.forward(context, cutAveragePoolOnTape(tape, feature, CHANNEL_POOLING));
  const teacher_NHWD = travelledFeature(golden.float32('teacher_features'));
  const choices = storedChannelChoices(golden);
  const values = channelTerms(projected.value, teacher_NHWD, bank, choices, settings);
  const { parameters, leaves } = tape.backward([[projected, values.gradient_NhwD]]);
  bank.commit();
  staged.commit();
  const loss = (term: ChannelTerm) => hostScalar(values.losses.get(term)!);
  const result = new Map<string, HostTensor>([
    ['loss_minibatch_channel', loss('minibatch_channel')],
    ['loss_memory_channel', loss('memory_channel')],
    ['loss_channel_mse', loss('channel_mse')],
    ['grad/student_features', channelsFirst(leaves.get(feature)!)],
  ]);
  for (const [parameter, gradient] of parameters) {
    result.set(`grad/${parameter.name}`, hostTensor(head.officialLayout(parameter, gradient)));
  }
  for (const [name, tensor] of head.stateDict()) result.set(name, hostTensor(tensor));
  const state = bank.exportState();
  const queue = hostTensor(state.get('channel_queue')!);
  result.set('channel_queue', { data: queue.data.slice(), shape: queue.shape.slice(1) });
  result.set('channel_ptr', hostTensor(state.get('channel_ptr')!));
  return result;
}

function settingsOf(golden: GoldenCase, options: OperationOptions): ChannelTermSettings {
  return {
    weights: {
      minibatch_channel: gradWeight(golden, 'minibatch'),
      memory_channel: gradWeight(golden, 'memory'),
      channel_mse: gradWeight(golden, 'mse'),
    },
    contrastTemperature: golden.number('contrast_temperature'),
    contrastKdTemperature: golden.number('contrast_kd_temperature'),
    channelContrastRows: golden.number('channel_contrast_size'),
    channelUpdateFreq: golden.number('channel_update_freq'),
    tiling: tilingOf(options),
  };
}

function gradWeight(golden: GoldenCase, term: string): number {
  const weights = golden.params.grad_weights as Readonly<Record<string, unknown>> | undefined;
  const weight = weights?.[term];
  if (typeof weight === 'number' && Number.isFinite(weight)) return weight;
  throw new GoldenError(`${golden.name}: grad_weights.${term}: ${weight} given, wanted a number`);
}
