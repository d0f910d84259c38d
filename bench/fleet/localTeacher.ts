/** The teacher's network in a thread of the student's own process: no wire, no other process. */
import { WorkerEngine } from '../../services/teacher/workerEngine.js';
import type { Teacher, TeacherImage } from '../../src/contract/teacher.js';
import { replyOf, requestsOf } from '../wire/cases.js';

/** Plain float32: nothing is made smaller that doesn't travel. */
const OUTPUTS = requestsOf({ encoding: 'fp32', logits: 'sent' });
const MAX_BATCH_MS = 60_000;
const NO_FAULTS = { nonFiniteEvery: 0, failEvery: 0, stallEvery: 0, stallMs: 0 };

export async function startLocalTeacher(
  model: string,
  height: number,
  width: number,
): Promise<Teacher> {
  const engine = await WorkerEngine.start(
    {
      ...{ source: { kind: 'checkpoint', path: model }, faults: NO_FAULTS },
      ...{ warmUp: [[height, width]], warmUpOutputs: OUTPUTS, processors: null },
    },
    MAX_BATCH_MS,
  );
  // The thread takes images in order, one at a time, as a teacher server does by default.
  const request = async (image: TeacherImage) => {
    const [outputs] = await engine.infer([image], OUTPUTS);
    if (outputs === undefined || outputs instanceof Error) throw outputs ?? new Error('no answer');
    return replyOf(outputs);
  };
  const { info } = engine;
  return {
    info,
    classifier: null,
    request,
    requestElsewhere: request,
    close: () => engine.close(),
  };
}
