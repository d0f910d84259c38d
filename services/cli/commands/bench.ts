/** `cirkd bench`: how fast this machine computes a network, as a teacher and as a student. */
import { dirname } from 'node:path';
import { ensureFolder, replaceFile } from '../../../src/run/durableFiles.js';
import { specName } from '../../../src/models/spec.js';
import { bfloat16Products, engineInfo } from '../../../src/tensor/index.js';
import { studentSpec } from '../../student/trainer.js';
import { setEngineEnvironment } from '../../student/computeProtocol.js';
import { BENCH_USAGE, type BenchOptions, readBenchOptions } from '../bench/benchOptions.js';
import { benchReport } from '../bench/benchReport.js';
import { measureWork, type Work, type WorkMeasurement } from '../bench/measureWork.js';
import { StudentWork } from '../bench/studentWork.js';
import { TeacherWork } from '../bench/teacherWork.js';
import { configOf } from '../bench/workload.js';
import type { Command } from '../command.js';

const SUMMARY = "Times a network on this machine: a teacher's forward pass, a student's step.";

const usage = `cirkd bench [options]

Times a teacher's forward pass (from the bytes of a batch to encoded outputs, fp32) and a student's training
step (forward, losses, backward, update, with full memory banks) of one network, on generated input that is
already in memory: without a dataset and without the network connection. Prints images per second, the
median time of a repetition and the peak resident memory of the process (above start: minus the memory in
use before network and input were created). The profile covers the CPU only: a GPU may still be working
after an op has returned.

${BENCH_USAGE}

Exit codes: 0 done, 2 usage, 6 a loss that isn't finite.`;

async function run(argv: string[]): Promise<number> {
  const options = readBenchOptions(argv);
  const { workload, parts, threads, json } = options;
  const config = configOf(workload);
  setEngineEnvironment({ ...config, train: { ...config.train, threads } });
  const { tensorflow, device } = engineInfo();
  const { images, height, width, classes, loss } = workload;
  const network = specName(studentSpec(config, classes));
  process.stdout.write(
    `${network}, ${classes} classes, ${images}×${height}×${width}, loss: ${loss}. ` +
      `TensorFlow ${tensorflow} on ${device}, ${threads} threads.\n\n`,
  );
  if (options.products !== 'float32') {
    process.stdout.write(`The teacher's products: ${options.products}, ${bfloat16Products()}.\n\n`);
  }
  const measurements = parts.map((part) => measure(part, options));
  process.stdout.write(benchReport(measurements));
  if (json !== null) {
    const everything = { network, workload, threads, tensorflow, device, measurements };
    await ensureFolder(dirname(json));
    await replaceFile(json, `${JSON.stringify(everything, null, 1)}\n`);
  }
  return 0;
}

function measure(
  part: 'teacher' | 'student',
  { workload, products, repetitions }: BenchOptions,
): WorkMeasurement {
  const make = part === 'teacher' ? (of: typeof workload) => teacher(of, products) : student;
  const name = part === 'teacher' ? 'teacher forward' : 'student step';
  return measureWork(name, () => make(workload), workload.images, repetitions);
}

function teacher(workload: BenchOptions['workload'], products: BenchOptions['products']): Work {
  const work = new TeacherWork(workload, { products });
  return { run: () => work.forward(), dispose: () => work.dispose() };
}

function student(workload: BenchOptions['workload']): Work {
  const work = new StudentWork(workload);
  return { run: () => work.step(), dispose: () => work.dispose() };
}

export const command: Command = { name: 'bench', summary: SUMMARY, usage, run };
