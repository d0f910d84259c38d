/**
 * This side of training.test.ts: a student as its config makes it, on crops as the loader makes them, and what PyTorch
 * needs for the same steps.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { studentSchema } from '../../../services/program/studentSchema.js';
import { buildTrainer } from '../../../services/student/trainer.js';
import { openFeed } from '../../../services/student/trainingData.js';
import { loadConfig } from '../../../src/config/load.js';
import type { StudentConfig } from '../../../src/config/student.js';
import type { Batch } from '../../../src/data/types.js';
import { exportModel } from '../../../src/models/files/exportModel.js';
import { writeModelFile } from '../../../src/models/files/modelFile.js';
import { namedFloats } from '../../../src/models/namedValues.js';
import { normalise, OFFICIAL_NORMALISATION } from '../../../src/models/normalise.js';
import { differentiable, float32, readFloat32, scope, Tape } from '../../../src/tensor/index.js';
import type { Trainer, TrainingBatch } from '../../../src/train/trainer.js';

export interface Student {
  readonly name: string;
  readonly model: 'deeplab_mobile' | 'deeplabv3';
  readonly backbone: 'mobilenetv2' | 'resnet18';
  readonly width: number;
  readonly steps: number;
  /** Channels of the maps that the dropout layers get, in their order. */
  readonly dropped: readonly number[];
}

/** As many as the synthetic streets have. */
const CLASSES = 12;
export const CLASS_NAMES = Array.from({ length: CLASSES }, (_, index) => `class ${index}`);
const BATCH = 4;
/** Maps of 13 x 13 positions, so that a dilation of 12 meets pixels. */
const CROP = 104;
const MAP = CROP / 8;
/** Of the official heads' dropout layers: behind ASPP, before the classifier, in the auxiliary head. */
const DROPOUT = [0.5, 0.1, 0.1];

/** A student that is about to be trained, with the input of all its steps. */
export interface Prepared {
  readonly student: Student;
  readonly config: StudentConfig;
  readonly trainer: Trainer;
  readonly batches: readonly Batch[];
}

/** The sections `train` and `loss` have their defaults but for the number of steps and the batch size. */
export function configOf({ model, backbone, width, steps }: Student): StudentConfig {
  const scenes = (samples: number, seed: number) => ({
    ...{ kind: 'synthetic', samples, height: 96, width: 160, seed },
  });
  const text = JSON.stringify({
    data: {
      ...{ train: scenes(24, 1), val: scenes(1, 2), crop: { height: CROP, width: CROP } },
      paddingPixel: [123, 117, 104],
    },
    student: { model, backbone, widthMultiplier: width, ...OFFICIAL_NORMALISATION },
    train: { steps, batchSize: BATCH },
  });
  return loadConfig(studentSchema, { text, fileName: 'test' });
}

/** Also writes the start weights, crops and dropout masks of every step to `folder`. */
export async function prepare(student: Student, folder: string): Promise<Prepared> {
  const config = configOf(student);
  const trainer = buildTrainer({ config, classes: CLASSES, teacherChannels: null });
  const batches = await cropsOf(config);
  const write = (ending: string, bytes: Uint8Array) =>
    writeFileSync(join(folder, `${student.name}.${ending}`), bytes);
  write('pth', exported(trainer));
  write('rgb', Buffer.concat(batches.flatMap(({ crops }) => crops.map(({ rgb }) => rgb))));
  write('labels', Buffer.concat(batches.flatMap(({ crops }) => crops.map((crop) => crop.labels))));
  write('masks', masksOf(trainer, student));
  return { student, config, trainer, batches };
}

export interface Step {
  /** The task's loss, auxiliary head included. */
  readonly loss: number;
  readonly rate: number;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** Makes update number `step` from whatever state the trainer is in. */
export function makeStep({ trainer, config, batches }: Prepared, step: number): Step {
  const { network } = trainer.parts;
  const gradients = new Map<string, Float32Array>();
  const outcome = scope(() =>
    trainer.step(step, [trainingBatch(batches[step]!, config)], (all) => {
      for (const parameter of network.parameters()) {
        const gradient = network.officialLayout(parameter, all.get(parameter)!);
        gradients.set(parameter.name, namedFloats(parameter.name, gradient));
      }
    }),
  );
  if (outcome.kind !== 'committed') throw new Error(`step ${step}: ${JSON.stringify(outcome)}`);
  return { loss: outcome.terms.task!, rate: outcome.learningRate, gradients };
}

export function dispose({ trainer: { parts } }: Prepared): void {
  parts.optimizer.dispose();
  parts.network.dispose();
}

function trainingBatch({ crops, height, width }: Batch, config: StudentConfig): TrainingBatch {
  const images = { height, width, rgb: crops.map(({ rgb }) => rgb) };
  const data = Uint8Array.from(crops.flatMap(({ labels }) => [...labels]));
  return {
    image_NHWC: normalise(images, config.student),
    labels: { data, images: crops.length, height, width },
    teacher: null,
  };
}

/** The batches of a run with this config. */
async function cropsOf(config: StudentConfig): Promise<Batch[]> {
  const { feed, close } = openFeed(config, null, 0);
  const batches: Batch[] = [];
  try {
    for (let step = 0; step < config.train.steps; step++) batches.push((await feed.next()).batch);
  } finally {
    await close();
  }
  return batches;
}

/** A byte for each value that dropout gets, 1 where it is kept: for each step, layer after layer, [N, h, w, C]. */
function masksOf({ parts: { dropoutSeed } }: Trainer, { dropped, steps }: Student): Buffer {
  if (dropoutSeed === null) throw new Error('dropout: off, and the official networks have it');
  const masks = Array.from({ length: steps }, (_, step) =>
    dropped.map((channels, layer) => mask(channels, DROPOUT[layer]!, dropoutSeed(step, 0, layer))),
  );
  return Buffer.concat(masks.flat());
}

function mask(channels: number, probability: number, seed: readonly [number, number]): Uint8Array {
  const shape = [BATCH, MAP, MAP, channels];
  const ones = new Float32Array(BATCH * MAP * MAP * channels).fill(1);
  const tape = new Tape(false);
  try {
    const factors = scope(() => {
      const x = tape.constant(float32(ones, shape));
      const dropped = differentiable.dropout(tape, x, { probability, unit: 'element' }, seed);
      return readFloat32(dropped.value);
    });
    return Uint8Array.from(factors, (factor) => (factor > 0 ? 1 : 0));
  } finally {
    tape.dispose();
  }
}

function exported({ parts: { network } }: Trainer): Uint8Array {
  const { spec } = network;
  const description = { spec, normalisation: OFFICIAL_NORMALISATION, classNames: CLASS_NAMES };
  return exportModel(writeModelFile(description, network.stateDict())).bytes;
}

/** What trainingPeer.py gets of a student: the official trainers' settings, and where the files are. */
export function peerPlan(
  { name, model, backbone, width, steps, dropped }: Student,
  folder: string,
) {
  return {
    ...{ name, model, backbone, width, dropped, steps, classes: CLASSES },
    ...{ batch: BATCH, crop: CROP, map: MAP, aux_weight: 0.4 },
    ...{ base_lr: 0.02, momentum: 0.9, weight_decay: 1e-4, poly_power: 0.9 },
    ...{ mean_bgr: [104.00698793, 116.66876762, 122.67891434], files: join(folder, name) },
  };
}
