/** The teacher's network in a thread of the student's own process: no wire, no other process. */
import { WorkerEngine } from '../../services/teacher/workerEngine.js';
import type { Teacher, TeacherImage, TeacherReply } from '../../src/contract/teacher.js';
import { requestsOf, replyOf } from '../wire/cases.js';

/** Plain float32: nothing is made smaller that doesn't travel. */
const OUTPUTS = requestsOf({ encoding: 'fp32', logits: 'sent' });
const MAX_BATCH_MS = 60_000;
const NO_FAULTS = { nonFiniteEvery: 0, failEvery: 0, stallEvery: 0, stallMs: 0 };

export class LocalTeacher implements Teacher {
  readonly info;
  readonly classifier = null;
  readonly #engine: WorkerEngine;

  static async start(model: string, height: number, width: number): Promise<LocalTeacher> {
    const engine = await WorkerEngine.start(
      {
        source: { kind: 'checkpoint', path: model },
        faults: NO_FAULTS,
        warmUp: [[height, width]],
        warmUpOutputs: OUTPUTS,
      },
      MAX_BATCH_MS,
    );
    return new LocalTeacher(engine);
  }

  private constructor(engine: WorkerEngine) {
    this.#engine = engine;
    this.info = engine.info;
  }

  /** The thread takes images in order, one at a time, as a teacher server does by default. */
  async request(image: TeacherImage): Promise<TeacherReply> {
    const [outputs] = await this.#engine.infer([image], OUTPUTS);
    if (outputs === undefined || outputs instanceof Error) throw outputs ?? new Error('no answer');
    return replyOf(outputs);
  }

  requestElsewhere(image: TeacherImage): Promise<TeacherReply> {
    return this.request(image);
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}
