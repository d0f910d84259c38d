/** When a run evaluates and saves, and what a checkpoint says besides the state. */
import type { StudentConfig } from '../../src/config/student.js';
import type { Dataset } from '../../src/data/types.js';
import { ContractMismatchError, type Teacher } from '../../src/distill/teacher.js';
import { saveCheckpoint } from '../../src/run/checkpoint.js';
import { bestCheckpoint, markBestCheckpoint } from '../../src/run/checkpointFolder.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { packageVersion } from '../cli/packageVersion.js';
import type { StateFiles } from './computeProtocol.js';
import type { ComputeThread } from './computeThread.js';
import type { StudentEvaluation } from './evaluation.js';
import type { OpenedRun } from './openRun.js';
import type { Reporting } from './reporting.js';

interface Parts {
  readonly config: StudentConfig;
  readonly run: OpenedRun;
  readonly dataset: Dataset;
  readonly teacher: Teacher | null;
  readonly compute: ComputeThread;
  readonly reporting: Reporting;
}

export class Checkpointing {
  readonly #parts: Parts;
  /** Updates done. */
  #step: number;
  #savedStep: number | null;
  #evaluated: { step: number; evaluation: StudentEvaluation } | null = null;

  /** Throws where the checkpoint that a run goes on from was made with other data or teacher. */
  constructor(parts: Parts) {
    this.#parts = parts;
    const manifest = parts.run.checkpoint?.manifest;
    this.#step = manifest?.step ?? 0;
    this.#savedStep = manifest?.step ?? null;
    if (manifest === undefined) return;
    if (manifest.datasetHash !== parts.dataset.digest) {
      throw new CheckpointError(
        `data.train: list hash ${parts.dataset.digest}, the checkpoint's is ${manifest.datasetHash}`,
      );
    }
    if ((manifest.teacherDigest === null) !== (parts.teacher === null)) {
      throw new ContractMismatchError(
        `teacher: digest ${parts.teacher?.info.digest ?? 'none'}, the checkpoint's is ${manifest.teacherDigest ?? 'none'}`,
      );
    }
  }

  /** Updates done, those before a resume included. */
  get step(): number {
    return this.#step;
  }

  /** The state of the checkpoint that the run goes on from. */
  savedState(): StateFiles | null {
    const { checkpoint } = this.#parts.run;
    if (checkpoint === null) return null;
    return Object.fromEntries(
      [...checkpoint.files].map(([name, { tensors, metadata }]) => [
        name.replace(/\.safetensors$/, ''),
        { tensors, metadata },
      ]),
    );
  }

  /** `step` updates are done. Evaluates and saves where the config says so. */
  async afterStep(step: number, evaluate: () => Promise<StudentEvaluation>): Promise<void> {
    this.#step = step;
    const { run } = this.#parts.config;
    if (isDue(step, run.evaluateEverySteps)) {
      const evaluation = await evaluate();
      this.#evaluated = { step, evaluation };
      this.#parts.reporting.evaluation(step, evaluation.scores);
    }
    const best = await this.#isBest();
    if (best || isDue(step, run.checkpointEverySteps)) await this.save();
    if (best) {
      const { miou } = this.#evaluated!.evaluation.scores;
      await markBestCheckpoint(this.#parts.run.folder.checkpointsFolder, { step, miou });
    }
  }

  /** The evaluation after `step` updates, if that is when the last one was. */
  evaluationAt(step: number): StudentEvaluation | null {
    return this.#evaluated?.step === step ? this.#evaluated.evaluation : null;
  }

  /** Saves the state as of the last update, unless it's saved already; gives the path. */
  async save(): Promise<string | null> {
    if (this.#savedStep === this.#step) return null;
    const { config, run, dataset, teacher, compute, reporting } = this.#parts;
    const files = await compute.snapshot();
    reporting.events.append({ kind: 'checkpoint', step: this.#step });
    reporting.events.sync();
    const path = await saveCheckpoint(
      run.folder.checkpointsFolder,
      {
        packageVersion: packageVersion(),
        step: this.#step,
        teacherDigest: teacher?.info.digest ?? null,
        datasetHash: dataset.digest,
        config: config as unknown as Record<string, unknown>,
        state: {},
        files: Object.fromEntries(
          Object.entries(files).map(([name, file]) => [`${name}.safetensors`, file]),
        ),
      },
      config.run.keepCheckpoints,
    );
    this.#savedStep = this.#step;
    return path;
  }

  async #isBest(): Promise<boolean> {
    const scores = this.evaluationAt(this.#step)?.scores;
    if (scores === undefined) return false;
    const best = await bestCheckpoint(this.#parts.run.folder.checkpointsFolder);
    return best === null || scores.miou > best.miou || best.step === this.#step;
  }
}

function isDue(step: number, everySteps: number): boolean {
  return everySteps > 0 && step % everySteps === 0;
}
