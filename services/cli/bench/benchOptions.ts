/** The options of `cirkd bench`. */
import { parseArgs } from 'node:util';
import { ConfigError } from '../../../src/config/configError.js';
import { PRODUCTS, type Products } from '../../../src/contract/products.js';
import { UsageError } from '../command.js';
import { wholeNumber } from '../datasetOptions.js';
import { checkNetwork } from '../modelOptions.js';
import { studentSpec } from '../../student/trainer.js';
import type { Repetitions } from './measureWork.js';
import { configOf, PAPER_BANK_ROWS, type Workload } from './workload.js';
import { availableCores } from '../../../src/threads/availableCores.js';

export const BENCH_USAGE = `  --model NAME           deeplabv3, psp, deeplab_mobile or psp_mobile (default deeplabv3)
  --backbone NAME        backbone (default resnet18)
  --variant v1|v2        v1: as in the CVPR 2022 paper, v2: the newest official code (default v1)
  --width FACTOR         factor on every channel count (default 1)
  --classes N            number of classes (default 19)
  --batch N              images per batch, at least 2 (default 2)
  --height PIXELS        height of an image (default 256)
  --width-pixels PIXELS  width of an image (default 512)
  --loss labels|cirkd    what the student trains with: the task loss alone, or all terms of CIRKD
                         against random outputs of a teacher (default cirkd)
  --teacher-channels N   channels of the random teacher's feature (default 256)
  --only teacher|student only the forward pass, or only the training step
  --compute MODE         the teacher's products: float32 (default) or bfloat16
  --steps N              timed repetitions (default 10)
  --warm-up N            untimed repetitions before those (default 2)
  --threads N            threads per operation (default: one per core)
  --profile              also measures the time per op
  --json FILE            writes everything as JSON`;

export interface BenchOptions {
  readonly workload: Workload;
  readonly parts: readonly ('teacher' | 'student')[];
  /** The teacher's. */
  readonly products: Products;
  readonly repetitions: Repetitions;
  readonly threads: number;
  readonly json: string | null;
}

/** Repetitions of the profile; it only breaks down the timed work, so a few will do. */
const PROFILED = 3;

/** Throws UsageError naming the option. */
export function readBenchOptions(argv: string[]): BenchOptions {
  const { values } = parseArgs({
    args: argv,
    options: {
      model: { type: 'string', default: 'deeplabv3' },
      backbone: { type: 'string', default: 'resnet18' },
      variant: { type: 'string', default: 'v1' },
      width: { type: 'string', default: '1' },
      classes: { type: 'string', default: '19' },
      batch: { type: 'string', default: '2' },
      height: { type: 'string', default: '256' },
      'width-pixels': { type: 'string', default: '512' },
      loss: { type: 'string', default: 'cirkd' },
      'teacher-channels': { type: 'string', default: '256' },
      only: { type: 'string' },
      compute: { type: 'string', default: 'float32' },
      steps: { type: 'string', default: '10' },
      'warm-up': { type: 'string', default: '2' },
      threads: { type: 'string', default: String(availableCores()) },
      profile: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  const steps = wholeNumber('--steps', values.steps, 1);
  const workload: Workload = {
    model: values.model as Workload['model'],
    backbone: values.backbone,
    variant: values.variant as Workload['variant'],
    widthMultiplier: Number(values.width),
    classes: atMost('--classes', wholeNumber('--classes', values.classes, 1), 255),
    images: wholeNumber('--batch', values.batch, 2),
    height: wholeNumber('--height', values.height, 1),
    width: wholeNumber('--width-pixels', values['width-pixels'], 1),
    loss: oneOf('--loss', values.loss, ['labels', 'cirkd']),
    teacherChannels: wholeNumber('--teacher-channels', values['teacher-channels'], 1),
    bankRows: PAPER_BANK_ROWS,
  };
  checkWorkload(workload);
  return {
    workload,
    parts:
      values.only === undefined
        ? ['teacher', 'student']
        : [oneOf('--only', values.only, ['teacher', 'student'])],
    products: oneOf('--compute', values.compute, PRODUCTS),
    repetitions: {
      warmUp: wholeNumber('--warm-up', values['warm-up'], 0),
      timed: steps,
      profiled: values.profile ? Math.min(PROFILED, steps) : 0,
    },
    threads: atMost('--threads', wholeNumber('--threads', values.threads, 1), 1024),
    json: values.json ?? null,
  };
}

/** Checks the network's names, so that errors name the option; other errors name the config's key. */
function checkWorkload(workload: Workload): void {
  const { model, backbone, variant, widthMultiplier, classes } = workload;
  try {
    checkNetwork(studentSpec(configOf(workload), classes));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    checkNetwork({ model, backbone, variant, widthMultiplier, numClasses: classes });
    throw error;
  }
}

function atMost(option: string, value: number, most: number): number {
  if (value <= most) return value;
  throw new UsageError(`${option}: ${value} given, wanted at most ${most}`);
}

function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text);
  if (found !== undefined) return found;
  throw new UsageError(`${option}: ${text} given, wanted ${known.join(' or ')}`);
}
