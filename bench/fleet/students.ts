/** The student processes of this bench, from the outside. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../../services/setup/engineEnvironment.mjs';
import { MeasuredProcess } from '../support/measuredProcess.js';
import type {
  PullAnswer,
  PullRequest,
  PullTask,
  StepsAnswer,
  TrainAnswer,
  TrainTask,
} from './protocol.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));

type Of<Kind extends PullRequest['do']> = Omit<Extract<PullRequest, { do: Kind }>, 'do'>;

export class PullingStudent {
  readonly #process: MeasuredProcess;

  static async start(task: PullTask): Promise<PullingStudent> {
    const side = module('pullSide.ts', task);
    await side.first();
    return new PullingStudent(side);
  }

  private constructor(side: MeasuredProcess) {
    this.#process = side;
  }

  async pull(request: Of<'pull'>): Promise<PullAnswer> {
    return (await this.#process.ask({ do: 'pull', ...request })) as PullAnswer;
  }

  async steps(request: Of<'steps'>): Promise<StepsAnswer> {
    return (await this.#process.ask({ do: 'steps', ...request })) as StepsAnswer;
  }

  close(): Promise<void> {
    return this.#process.close();
  }
}

export class TrainingStudent {
  readonly #process: MeasuredProcess;

  static async start(task: TrainTask): Promise<TrainingStudent> {
    const side = module('trainSide.ts', task);
    await side.first();
    return new TrainingStudent(side);
  }

  private constructor(side: MeasuredProcess) {
    this.#process = side;
  }

  async train(steps: number): Promise<TrainAnswer> {
    return (await this.#process.ask({ steps })) as TrainAnswer;
  }

  close(): Promise<void> {
    return this.#process.close();
  }
}

function module(file: string, task: object): MeasuredProcess {
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
  const args = ['--import', 'tsx', join(HERE, file), JSON.stringify(task)];
  return new MeasuredProcess(file, process.execPath, args, { ...env, ...engineEnvironment(env) });
}
