/**
 * The measured process of this project's side; bench/losses/main.ts starts it. One argument, a
 * SideTask as JSON; prints a SideReport as JSON.
 */
import { performance } from 'node:perf_hooks';
import { peakKiB, startPeak } from '../../services/cli/bench/peakMemory.js';
import { memoryContrast } from '../../src/losses/memoryContrast.js';
import { minibatchPixel } from '../../src/losses/minibatchPixel.js';
import { unitRows, unitRowsGrad } from '../../src/losses/normalize.js';
import { engineInfo, ops, readFloat32, scope, type Tensor } from '../../src/tensor/index.js';
import {
  type ComparedInputs,
  type Computed,
  comparedInputs,
  computeCompared,
} from './comparedSide.js';
import { type Inputs, makeInputs } from './inputs.js';
import { isCompared, type Point, type Products } from './points.js';
import { productRates } from './products.js';
import type { Measured, SideReport, SideTask } from './sideReport.js';

const SAMPLES = 64;
const TEMPERATURE = 0.1;
/** The config's default. */
const TILING = { lossMemoryMiB: 192 };

const task = JSON.parse(process.argv[2]!) as SideTask;
// TensorFlow reads it when it is opened.
process.env['TF_NUM_INTRAOP_THREADS'] = String(task.threads);
process.stdout.write(`${JSON.stringify(measure())}\n`);

/** A point's inputs, and what is measured with them. */
interface Work {
  compute(): Computed;
  /** Of the plain products; of the compared losses none is sampled. */
  rates(): Products;
}

function workOf(point: Point): Work {
  if (isCompared(point)) {
    const inputs: ComparedInputs = comparedInputs(point);
    return {
      compute: () => computeCompared(point, inputs, TILING),
      rates: () => ({ student: 0, teacher: 0, gradient: 0 }),
    };
  }
  const inputs = makeInputs(point);
  return {
    compute: () => compute(point, inputs),
    rates: () => productRates(point, inputs, task.productSeconds),
  };
}

function measure(): SideReport {
  const work = workOf(task.point);
  const { tensorflow } = engineInfo();
  startPeak();
  const measured = task.inputsOnly ? null : repeat(work);
  return {
    peakKiB: measured?.peakKiB ?? peakKiB(),
    engine: `TensorFlow ${tensorflow}`,
    measured: measured?.values ?? null,
  };
}

function repeat(work: Work): { values: Measured; peakKiB: number } {
  warmUp();
  const ms: number[] = [];
  const begin = performance.now();
  const timed = () => {
    const start = performance.now();
    const computed = scope(() => work.compute());
    ms.push(performance.now() - start);
    return computed;
  };
  let last = timed();
  while (ms.length < task.maxRepetitions && performance.now() - begin < 1000 * task.maxSeconds) {
    last.gradient.dispose();
    last = timed();
  }
  // Before anything is computed that isn't the loss.
  const peak = peakKiB();
  const gradient = readFloat32(last.gradient);
  last.gradient.dispose();
  const step = Math.max(1, Math.floor(gradient.length / SAMPLES));
  const values = {
    ms,
    loss: last.loss,
    gradientNorm: Math.sqrt(gradient.reduce((sum, value) => sum + value ** 2, 0)),
    gradientSamples: Array.from({ length: SAMPLES }, (_, i) => gradient[i * step] ?? 0),
    flopPerSecond: work.rates(),
  };
  return { values, peakKiB: peak };
}

/** Threads, kernels and compiled code are there before the clock runs. */
function warmUp(): void {
  const [height, width] = task.point.loss === 'skd_holistic' ? [64, 64] : [8, 16];
  scope(() => {
    workOf({ ...task.point, images: 2, height, width }).compute();
    return null;
  });
  // Its inputs are garbage that the loss didn't make.
  globalThis.gc?.();
}

function compute(point: Point, inputs: Inputs): Computed {
  return point.loss === 'memory' ? bothMemoryLosses(inputs) : minibatch(point, inputs);
}

function minibatch(
  { images, height, width, channels }: Point,
  { student_NC, teacher_ND, norm_N }: Inputs,
): Computed {
  const map = [images, height, width];
  const { loss, gradient_NHWC } = minibatchPixel(
    ops.reshape(student_NC, [...map, channels.student]),
    {
      embedding_NHWD: ops.reshape(teacher_ND, [...map, channels.teacher]),
      norm_NHW: ops.reshape(norm_N, map),
    },
    { temperature: TEMPERATURE, minibatchGroup: 0, minibatchPooling: 'never', tiling: TILING },
  );
  return { loss, gradient: gradient_NHWC };
}

function bothMemoryLosses({ student_NC, teacher_ND, banks_MD }: Inputs): Computed {
  const options = { contrastTemperature: TEMPERATURE, contrastKdTemperature: 1, tiling: TILING };
  const student = unitRows(student_NC);
  let loss = 0;
  const bankGradient = (bank_MD: Tensor) => {
    const part = memoryContrast(student.embedding_PC, teacher_ND, bank_MD, options);
    loss += part.loss;
    return part.gradient_PD;
  };
  // As src/distill/memoryTerms.ts has it: the summands are gone before the next maps of their size.
  const gradient_PD = scope(() => ops.addN(banks_MD.map(bankGradient)));
  return { loss, gradient: unitRowsGrad(gradient_PD, student) };
}
