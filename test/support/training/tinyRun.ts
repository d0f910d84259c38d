/** The smallest run that has every term: files that integration tests train from. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syntheticStreets } from '../../../src/data/syntheticStreets.js';
import { writeModelFile } from '../../../src/models/files/modelFile.js';
import { initialWeights } from '../../../src/models/initialise.js';
import { SegmentationNetwork } from '../../../src/models/network.js';
import type { NetworkSpec } from '../../../src/models/spec.js';

const SCENE = { height: 48, width: 96 } as const;

const TINY = { model: 'psp_mobile', backbone: 'mobilenetv2', widthMultiplier: 0.125 } as const;

/** Writes an untrained teacher's model file; returns its path. Other seeds are other teachers. */
export function tinyTeacher(
  folder: string,
  {
    seed = 7,
    classes = classNames().length,
    network: form = TINY as Pick<NetworkSpec, 'model' | 'backbone' | 'widthMultiplier'>,
  } = {},
): string {
  const spec: NetworkSpec = { ...form, variant: 'v1', numClasses: classes };
  const network = SegmentationNetwork.create(spec, initialWeights(seed));
  const description = {
    spec,
    normalisation: {
      pixelMean: [123.675, 116.28, 103.53],
      pixelStd: [58.395, 57.12, 57.375],
      channelOrder: 'rgb' as const,
    },
    classNames: Array.from({ length: classes }, (_, k) => `class ${k}`),
  };
  const path = join(folder, `teacher-${form.model}-${seed}-${classes}.safetensors`);
  writeFileSync(path, writeModelFile(description, network.stateDict()));
  network.dispose();
  return path;
}

/** Writes the config of a student; returns its path. */
export function tinyStudent(folder: string): string {
  const scenes = (seed: number, samples: number) =>
    `{kind: synthetic, samples: ${samples}, height: ${SCENE.height}, width: ${SCENE.width}, seed: ${seed}}`;
  const text = `
seed: 3
run: {directory: ${JSON.stringify(folder)}, checkpointEverySteps: 2, logEverySteps: 1, keepCheckpoints: 2}
data:
  train: ${scenes(1, 12)}
  val: ${scenes(2, 2)}
  workers: 1
  crop: {height: 48, width: 64}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {encoding: fp16, prefetchSteps: 1}
train: {steps: 7, batchSize: 2, learningRate: 0.02, threads: 2}
memory: {pixelMemorySize: 64, regionMemorySize: 8, pixelContrastSize: 48, regionContrastSize: 24}
evaluate: {pictures: 1}
metrics: {port: 0}
`;
  const path = join(folder, 'student.yaml');
  writeFileSync(path, text);
  return path;
}

function classNames(): readonly string[] {
  return syntheticStreets({ split: 'train', samples: 1, seed: 1, ...SCENE }).classNames;
}
