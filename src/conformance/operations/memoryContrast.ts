/** op `memory_contrast`: enqueue, projection head and both memory losses, as a training step has them. */
import { termWeights } from '../../contract/terms.js';
import { Objective } from '../../distill/objective.js';
import type { ObjectiveSettings } from '../../distill/settings.js';
import { PixelMemoryBank } from '../../memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../memory/regionMemoryBank.js';
import { StagedBuffers } from '../../models/buffers.js';
import { ProjectionHead } from '../../models/projectionHead.js';
import { onTape, type Tape, zeros } from '../../tensor/index.js';
import { goldenBank, memorySettings } from '../banks.js';
import { hostTensor } from '../hostTensor.js';
import type { GoldenCase, HostTensor, OperationOptions, OperationResult } from '../operation.js';
import { storedChoices } from '../storedChoices.js';
import { channelsFirst, channelsLast, hostScalar, labelMaps, teacherFeature } from '../tensors.js';

export function memoryContrast(golden: GoldenCase, options: OperationOptions): OperationResult {
  const head = ProjectionHead.create(golden.number('Cs'), golden.number('Ct'), (name) =>
    golden.float32(name).data.slice(),
  );
  const objective = new Objective(objectiveSettings(golden, options), {
    pixel: goldenBank(golden, 'pixel', (bank) => new PixelMemoryBank(bank)),
    region: goldenBank(golden, 'region', (bank) => new RegionMemoryBank(bank)),
  });
  try {
    return onTape((tape) => forwardAndBack(golden, head, objective, tape));
  } finally {
    head.dispose();
  }
}

function forwardAndBack(
  golden: GoldenCase,
  head: ProjectionHead,
  objective: Objective,
  tape: Tape,
): OperationResult {
  const feature = tape.leaf(channelsLast(golden.float32('student_features')));
  const { embedding_NHWD, norm_NHW } = teacherFeature(golden.float32('teacher_features'));
  const staged = new StagedBuffers();
  const context = { tape, training: true, dropoutSeed: null, staged };
  const { terms, seeds } = objective.evaluate({
    // The memory losses don't use the student's predictions.
    student: { logits: tape.constant(zeros([0])), aux: null, feature },
    labels: labelMaps(golden.int32('labels'), golden.number('ignore_label')),
    teacher: { logits: null, embedding: embedding_NHWD, featureNorm: norm_NHW, auxNorm: null },
    project: (x) => head.forward(context, x),
    draws: storedChoices(golden, ''),
    step: 0,
  });
  const { parameters, leaves } = tape.backward(seeds);
  objective.commit();
  staged.commit();
  const result = new Map<string, HostTensor>([
    ['loss_pixel', hostScalar(terms.memory_pixel!)],
    ['loss_region', hostScalar(terms.memory_region!)],
    ['grad/student_features', channelsFirst(leaves.get(feature)!)],
  ]);
  for (const [parameter, gradient] of parameters) {
    const official = head.officialLayout(parameter, gradient);
    result.set(`grad/${parameter.name}`, hostTensor(official));
  }
  const { pixel, region } = objective.banks;
  for (const state of [head.stateDict(), pixel!.exportState(), region!.exportState()]) {
    for (const [name, tensor] of state) result.set(name, hostTensor(tensor));
  }
  return result;
}

function objectiveSettings(golden: GoldenCase, options: OperationOptions): ObjectiveSettings {
  return {
    ...memorySettings(golden, options),
    weights: termWeights({ memory_pixel: 1, memory_region: 1 }),
    auxWeight: 0,
    kdTemperature: 1,
  };
}
