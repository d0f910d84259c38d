/** op `train_steps`: updates of the trainer with given inputs, permutations and teacher tensors. */
import { CIRKD_TERMS, type Term, termWeights } from '../../contract/terms.js';
import { Objective } from '../../distill/objective.js';
import type { ObjectiveSettings } from '../../distill/settings.js';
import { PixelMemoryBank } from '../../memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../memory/regionMemoryBank.js';
import type { SegmentationNetwork } from '../../models/network.js';
import { ProjectionHead } from '../../models/projectionHead.js';
import { scope } from '../../tensor/index.js';
import { Sgd } from '../../train/sgd.js';
import { Trainer, type TrainingBatch } from '../../train/trainer.js';
import { goldenBank, memorySettings } from '../banks.js';
import { hostTensor } from '../hostTensor.js';
import { goldenNetwork, goldenWeights, stateResults } from '../models.js';
import {
  type GoldenCase,
  type HostTensor,
  type OperationOptions,
  type OperationResult,
  UnsupportedError,
} from '../operation.js';
import { storedChoices } from '../storedChoices.js';
import { channelsLast, labelMaps, teacherFeature } from '../tensors.js';

/** Everything that a step changes. */
interface Trained {
  readonly network: SegmentationNetwork;
  readonly head: ProjectionHead;
  readonly objective: Objective;
}

const COLUMNS: readonly Term[] = ['task', ...CIRKD_TERMS, 'total'];

export function trainSteps(golden: GoldenCase, options: OperationOptions): OperationResult {
  if (golden.number('dropout') !== 0) throw new UnsupportedError('dropout: only 0 is known');
  const network = goldenNetwork(golden);
  const head = ProjectionHead.create(
    network.featureChannels,
    golden.number('Ct'),
    goldenWeights(golden, 'head_weights'),
  );
  const optimizer = new Sgd([...network.parameters(), ...head.parameters()], {
    momentum: golden.number('momentum'),
    weightDecay: golden.number('weight_decay'),
  });
  try {
    const objective = new Objective(objectiveSettings(golden, options), {
      pixel: goldenBank(golden, 'pixel', (bank) => new PixelMemoryBank(bank)),
      region: goldenBank(golden, 'region', (bank) => new RegionMemoryBank(bank)),
    });
    const trainer = new Trainer({
      network,
      projectionHead: head,
      channel: null,
      termConvolutions: null,
      adversary: null,
      objective,
      optimizer,
      schedule: {
        learningRate: golden.number('base_lr'),
        steps: golden.number('max_iterations'),
        polyPower: golden.number('poly_power'),
        warmupSteps: 0,
      },
      dropoutSeed: null,
      draws: (step) => storedChoices(golden, `step${step}/`),
    });
    return runSteps(golden, trainer, { network, head, objective });
  } finally {
    optimizer.dispose();
    head.dispose();
    network.dispose();
  }
}

function runSteps(golden: GoldenCase, trainer: Trainer, trained: Trained): OperationResult {
  const steps = golden.number('steps');
  const rates = new Float64Array(steps);
  const result = new Map<string, HostTensor>();
  for (let step = 0; step < steps; step++) {
    const outcome = scope(() =>
      trainer.step(step, [stepBatch(golden, step)], (gradients) => {
        if (step > 0) return;
        for (const [parameter, gradient] of gradients) {
          const ofHead = parameter.name.startsWith('project_head.');
          const owner = ofHead ? trained.head : trained.network;
          const key = `grad0/${ofHead ? 'memory' : 'student'}.${parameter.name}`;
          result.set(key, hostTensor(owner.officialLayout(parameter, gradient)));
        }
      }),
    );
    if (outcome.kind !== 'committed') {
      throw new Error(`step ${step}: not finite: ${JSON.stringify(outcome)}`);
    }
    const { terms, learningRate } = outcome;
    // The golden file's columns.
    const columns = COLUMNS.map((term) => terms[term] ?? Number.NaN);
    result.set(`losses/${step}`, { data: Float64Array.from(columns), shape: [columns.length] });
    rates[step] = learningRate;
    if (step === 0) addState(result, 'after1/', trained);
  }
  result.set('lr', { data: rates, shape: [steps] });
  addState(result, 'final/', trained);
  return result;
}

function stepBatch(golden: GoldenCase, step: number): TrainingBatch {
  const { embedding_NHWD, norm_NHW } = teacherFeature(golden.float32(`teacher_embedding/${step}`));
  return {
    image_NHWC: channelsLast(golden.float32(`image/${step}`)),
    labels: labelMaps(golden.int32(`labels/${step}`), golden.number('ignore_label')),
    teacher: {
      logits: channelsLast(golden.float32(`teacher_logits/${step}`)),
      ...{ embedding: embedding_NHWD, featureNorm: norm_NHW, auxNorm: null },
    },
  };
}

function objectiveSettings(golden: GoldenCase, options: OperationOptions): ObjectiveSettings {
  return {
    ...memorySettings(golden, options),
    weights: termWeights({
      task: 1,
      logits_kd: golden.number('lambda_kd'),
      minibatch_pixel: golden.number('lambda_minibatch_pixel'),
      memory_pixel: golden.number('lambda_memory_pixel'),
      memory_region: golden.number('lambda_memory_region'),
    }),
    auxWeight: typeof golden.params.aux_weight === 'number' ? golden.number('aux_weight') : 0,
    kdTemperature: golden.number('kd_temperature'),
  };
}

/** Adds weights, buffers and banks under their official names. */
function addState(result: Map<string, HostTensor>, prefix: string, trained: Trained): void {
  const { network, head, objective } = trained;
  const entries = [
    ...stateResults(`${prefix}student.`, network.stateDict()),
    ...stateResults(`${prefix}memory.`, head.stateDict()),
    ...stateResults(`${prefix}memory.`, officialBankNames(objective)),
  ];
  for (const [key, tensor] of entries) result.set(key, tensor);
}

function officialBankNames({ banks }: Objective) {
  const pixel = banks.pixel!.exportState();
  const region = banks.region!.exportState();
  return new Map([
    ['teacher_pixel_queue', pixel.get('pixel_queue')!],
    ['pixel_queue_ptr', pixel.get('pixel_ptr')!],
    ['teacher_segment_queue', region.get('region_queue')!],
    ['segment_queue_ptr', region.get('region_ptr')!],
  ]);
}
