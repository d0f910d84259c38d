/** The measured process of a teacher that comes as a graph; bench/step/side.ts starts it. See protocol.ts. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { rgbImages } from '../../services/cli/bench/inputs.js';
import { peakKiB, residentKiB, startPeak } from '../../services/cli/bench/peakMemory.js';
import { TEACHER_OUTPUTS } from '../../services/cli/bench/teacherWork.js';
import { NO_SETTINGS } from '../../src/graphs/graphSettings.js';
import { GraphTeacher } from '../../src/graphs/graphTeacher.js';
import { openOnnxGraph } from '../../src/graphs/onnxGraph.js';
import { answerRequests, sendLine } from '../support/linesOfInput.js';
import { type Answers, GRAPH_FILE, type Ready, type Request, type SideTask } from './protocol.js';
import { checkOf } from './stepWork.js';

const task = JSON.parse(process.argv[2]!) as SideTask;
const { threads, folder } = task;
process.env['TF_NUM_INTRAOP_THREADS'] = String(threads);
globalThis.gc?.();
const startKiB = residentKiB();
const graph = await openOnnxGraph(join(folder, GRAPH_FILE), { provider: 'cpu', threads });
const settings = { ...NO_SETTINGS, normalisation: 'official' as const };
const teacher = await GraphTeacher.open(graph, { settings, origins: {} }, 'bench');
const images = rgbImages(task.case.workload);
startPeak();
sendLine({ engine: graph.runtime, startKiB } satisfies Ready);
await answerRequests((request: Request) => answer(request.do));

async function answer(what: Request['do']): Promise<Answers['check' | 'step' | 'peak']> {
  if (what === 'peak') return { peakKiB: peakKiB() };
  const begin = performance.now();
  const results = await teacher.infer(images, TEACHER_OUTPUTS);
  const forward = performance.now() - begin;
  if (what === 'step') return { forward };
  if (what !== 'check') throw new Error(`${what} asked for, a graph has no profile`);
  return checkOf(
    results.map((outputs) => {
      if (outputs instanceof Error) throw outputs;
      return outputs;
    }),
  );
}
