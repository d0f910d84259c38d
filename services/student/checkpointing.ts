/** Decides when a run evaluates and saves, and what a checkpoint records besides the state. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { StudentConfig } from '../../src/config/student.js';
import { ContractMismatchError, type Teacher } from '../../src/contract/teacher.js';
import type { Dataset } from '../../src/data/types.js';
import { saveCheckpoint } from '../../src/run/checkpoint.js';
import { bestCheckpoint, markBestCheckpoint } from '../../src/run/checkpointFolder.js';
import { type Manifest, stepFolderName } from '../../src/run/manifest.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { packageVersion } from '../program/packageVersion.js';
import type { ComputeClient } from './computeProtocol.js';
import type { StudentEvaluation } from './evaluation.js';
import { type EvaluationPlan, isDue, isEvaluationDue } from './evaluationPlan.js';
import type { OpenedRun } from './openRun.js';
import type { Reporting } from './reporting.js';

interface Parts {
  readonly config: StudentConfig;
  readonly run: Pick<OpenedRun, 'folder' | 'manifest'>;
  readonly plan: EvaluationPlan;
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

  /** Throws if the checkpoint that is resumed was made with other data or another teacher. */
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
   * Completes what the end of the previous process cut off: the mark of the best checkpoint, and an
   * evaluation that was due after its last step. Await it before the first step.
   */
  async catchUp(evaluate: () => Promise<StudentEvaluation>): Promise<void> {
    const { run, plan } = this.#parts;
    if (run.manifest === null) return;
    await this.#recallBest(run.manifest);
    if (plan.isOwed && (await this.#evaluate(evaluate))) await this.#markBest();
  }

  /** Counts an update. Call it before anything else after a step. */
  stepDone(): void {
    this.#step += 1;
  }

  /** Evaluates and saves if they are due by the config. The last step is always evaluated. */
  async afterStep(evaluate: () => Promise<StudentEvaluation>): Promise<void> {
    const { config, plan } = this.#parts;
    const isBest = isEvaluationDue(plan, this.#step) && (await this.#evaluate(evaluate));
    if (isBest || isDue(this.#step, config.run.checkpointEverySteps)) await this.save();
    if (isBest) await this.#markBest();
  }

  /** The last evaluation, if it was made after `step` updates. */
  evaluationAt(step: number): StudentEvaluation | null {
    return this.#evaluated?.step === step ? this.#evaluated.evaluation : null;
  }

  /** Saves the state as of the last update, unless it's saved already; resolves with the path. */
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

  /** Evaluates the network; resolves with whether it is the best so far. */
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
   * Takes the better of the manifest's best and best.json. A kill between save and mark leaves
   * best.json behind; a kill after a caught-up evaluation leaves the manifest behind. A mark of a
   * later step, or of a checkpoint that is gone, is ignored.
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
