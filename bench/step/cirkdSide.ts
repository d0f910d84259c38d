/** The measured process of this project's side; bench/step/side.ts starts it. See protocol.ts. */
import { profileWork } from '../../services/cli/bench/opProfile.js';
import { peakKiB, residentKiB, startPeak } from '../../services/cli/bench/peakMemory.js';
import { returnMemoryAtOnce } from '../../services/program/returnedMemory.js';
import { engineInfo, returnFreedMemory } from '../../src/tensor/index.js';
import { answerRequests, sendLine } from '../support/linesOfInput.js';
import type { Answers, Ready, Request, SideTask, StepWork } from './protocol.js';
import { openWork } from './stepWork.js';

const task = JSON.parse(process.argv[2]!) as SideTask;
// TensorFlow reads it when it is opened.
process.env['TF_NUM_INTRAOP_THREADS'] = String(task.threads);
// As a student's run does.
if (task.case.workload.recompute === true) returnMemoryAtOnce();
const engine = `TensorFlow ${engineInfo().tensorflow}`;
// What compiling the sources left isn't the libraries'.
globalThis.gc?.();
const startKiB = residentKiB();
const work = openWork(task);
// Making weights, banks and input takes more for a moment than it leaves; what the C library keeps of that isn't the work's.
globalThis.gc?.();
returnFreedMemory();
startPeak();
sendLine({ engine, startKiB } satisfies Ready);
await answerRequests((request: Request) => answer(work, request));

function answer(work: StepWork, request: Request): Answers[Request['do']] {
  switch (request.do) {
    case 'check':
      return work.check();
    case 'step':
      return work.step();
    case 'peak':
      return { peakKiB: peakKiB() };
    case 'profile':
      return profileWork(() => work.step(), request.repetitions);
  }
}
