/** When a run evaluates and saves, and what a checkpoint says besides the state. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { StudentConfig } from '../../src/config/student.js';
import type { Dataset } from '../../src/data/types.js';
import { ContractMismatchError, type Teacher } from '../../src/contract/teacher.js';
import { saveCheckpoint } from '../../src/run/checkpoint.js';
import { bestCheckpoint, markBestCheckpoint } from '../../src/run/checkpointFolder.js';
import { type Manifest, stepFolderName } from '../../src/run/manifest.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { packageVersion } from '../program/packageVersion.js';
import type { ComputeClient } from './computeProtocol.js';
import type { StudentEvaluation } from './evaluation.js';
import type { OpenedRun } from './openRun.js';
import type { Reporting } from './reporting.js';

interface Parts {
  readonly config: StudentConfig;
  readonly run: Pick<OpenedRun, 'folder' | 'manifest' | 'isEvaluated'>;
  readonly dataset: Pick<Dataset, 'digest'>;
  readonly teacher: Pick<Teacher, 'info'> | null;
  readonly compute: Pick<ComputeClient, 'snapshot'>;
  readonly reporting: Pick<Reporting, 'events' | 'evaluation'>;
}

/** The best evaluation so far; in a checkpoint's manifest as state.best. */
interface Best {
  readonly step: number;
  /** 0..1 */
  readonly miou: number;
}

const bestSchema = z.object({ step: z.number(), miou: z.number() });

export class Checkpointing {
  readonly #parts: Parts;
  /** Updates done. */
  #step: number;
  #savedStep: number | null;
  #best: Best | null = null;
  #evaluated: { step: number; evaluation: StudentEvaluation } | null = null;

  /** Throws where the checkpoint that a run goes on from was made with other data or teacher. */
  constructor(parts: Parts) {
    this.#parts = parts;
    const { manifest } = parts.run;
    this.#step = manifest?.step ?? 0;
    this.#savedStep = manifest?.step ?? null;
    if (manifest !== null) requireSameOrigin(manifest, parts);
  }

  /** Updates done, those before a resume included. */
  get step(): number {
    return this.#step;
  }

  /**
   * Makes up for what the end of the process before cut off: the mark of the best checkpoint, and
   * an evaluation that was due after its last step. To be awaited before the first step.
   */
  async catchUp(evaluate: () => Promise<StudentEvaluation>): Promise<void> {
    const { run, config } = this.#parts;
    if (run.manifest === null) return;
    await this.#recallBest(run.manifest);
    // What the end of a run shows isn't in the events: the last evaluation is made again.
    const isMissing = !run.isEvaluated || this.#step === config.train.steps;
    if (!isMissing || !this.#isEvaluationDue()) return;
    if (await this.#evaluate(evaluate)) await this.#markBest();
  }

  /** One more update is done. To be called before anything else after a step. */
  stepDone(): void {
    this.#step += 1;
  }

  /** Evaluates and saves where the config says so. The last step is always evaluated. */
  async afterStep(evaluate: () => Promise<StudentEvaluation>): Promise<void> {
    const { run } = this.#parts.config;
    const isBest = this.#isEvaluationDue() && (await this.#evaluate(evaluate));
    if (isBest || isDue(this.#step, run.checkpointEverySteps)) await this.save();
    if (isBest) await this.#markBest();
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
    // A power loss must not leave a checkpoint without the events before it.
    reporting.events.sync();
    const path = await saveCheckpoint(
      run.folder.checkpointsFolder,
      {
        packageVersion: packageVersion(),
        step: this.#step,
        teacherDigest: teacher?.info.digest ?? null,
        datasetHash: dataset.digest,
        config: config as unknown as Record<string, unknown>,
        state: this.#best === null ? {} : { best: this.#best },
        files: Object.fromEntries(
          Object.entries(files).map(([name, file]) => [`${name}.safetensors`, file]),
        ),
      },
      config.run.keepCheckpoints,
    );
    this.#savedStep = this.#step;
    reporting.events.append({ kind: 'checkpoint', step: this.#step });
    reporting.events.sync();
    return path;
  }

  #isEvaluationDue(): boolean {
    const { run, train } = this.#parts.config;
    return this.#step === train.steps || isDue(this.#step, run.evaluateEverySteps);
  }

  /** Whether the network is the best so far. */
  async #evaluate(evaluate: () => Promise<StudentEvaluation>): Promise<boolean> {
    const step = this.#step;
    const evaluation = await evaluate();
    this.#evaluated = { step, evaluation };
    this.#parts.reporting.evaluation(step, evaluation.scores);
    const { miou } = evaluation.scores;
    const isBest = this.#best === null || miou > this.#best.miou || this.#best.step === step;
    if (isBest) this.#best = { step, miou };
    return isBest;
  }

  async #markBest(): Promise<void> {
    if (this.#best === null) return;
    await markBestCheckpoint(this.#parts.run.folder.checkpointsFolder, this.#best);
  }

  /**
   * Of the manifest's figures and best.json, the better: a kill between save and mark leaves the
   * mark behind, one after an evaluation that was made up for the manifest. A mark of a step that is
   * yet to come, or whose checkpoint is gone, says nothing.
   */
  async #recallBest({ state, step }: Manifest): Promise<void> {
    const folder = this.#parts.run.folder.checkpointsFolder;
    const saved = bestSchema.safeParse(state['best']);
    const marked = await bestCheckpoint(folder);
    const isThere = (best: Best) =>
      best.step <= step && existsSync(join(folder, stepFolderName(best.step)));
    const known = [saved.success ? saved.data : null, marked].filter((best) => best !== null);
    for (const best of known.filter(isThere)) {
      if (this.#best === null || best.miou > this.#best.miou) {
        this.#best = { step: best.step, miou: best.miou };
      }
    }
    if (this.#best !== null && this.#best.step !== marked?.step) await this.#markBest();
  }
}

function requireSameOrigin(manifest: Manifest, { dataset, teacher }: Parts): void {
  if (manifest.datasetHash !== dataset.digest) {
    throw new CheckpointError(
      `data.train: list hash ${dataset.digest}, the checkpoint's is ${manifest.datasetHash}`,
    );
  }
  if ((manifest.teacherDigest === null) !== (teacher === null)) {
    throw new ContractMismatchError(
      `teacher: digest ${teacher?.info.digest ?? 'none'}, the checkpoint's is ${manifest.teacherDigest ?? 'none'}`,
    );
  }
}

function isDue(step: number, everySteps: number): boolean {
  return everySteps > 0 && step % everySteps === 0;
}
