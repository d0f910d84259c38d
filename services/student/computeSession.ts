/** The computing thread's state and its implementation of the protocol's calls. */
import { type Collective, RankLostError } from '../../src/collectives/collective.js';
import { singleProcess } from '../../src/collectives/single.js';
import {
  type GroupOptions,
  TensorflowCollective,
} from '../../src/collectives/tensorflowCollective.js';
import type { StudentConfig } from '../../src/config/student.js';
import { ContractMismatchError } from '../../src/contract/teacher.js';
import type { Sample } from '../../src/data/types.js';
import { decodeReplies } from '../../src/distill/decodeReply.js';
import { given, type TeacherOutputs } from '../../src/distill/networkOutputs.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import { teacherLabels } from '../../src/distill/teacherLabels.js';
import { ConfusionMatrix } from '../../src/evaluate/confusion.js';
import { networkSegmenter } from '../../src/evaluate/networkSegmenter.js';
import { predictLabels } from '../../src/evaluate/predict.js';
import type { LabelMaps } from '../../src/losses/nearestLabels.js';
import { normalise } from '../../src/models/normalise.js';
import { isFiniteTensor } from '../../src/models/teacher/finiteTensor.js';
import { engineInfo, scope, type Tensor } from '../../src/tensor/index.js';
import { StopAgreedError } from '../../src/train/loop.js';
import type { MicroBatch, ReplyReplacement, StepOutcome } from '../../src/train/outcome.js';
import type { Trainer, TrainingBatch } from '../../src/train/trainer.js';
import type {
  ComputeCalls,
  ComputeReady,
  ComputeSetup,
  EvaluatedImage,
  JoinedGroup,
  StateFiles,
} from './computeProtocol.js';
import { agree, gatherTexts, requireSameState, shareState } from './group/agreement.js';
import { Pace } from './group/pace.js';
import { loadStartWeights } from './startWeights.js';
import { buildTrainer } from './trainer.js';
import { loadState, saveState, viewState } from './trainerState.js';

/** The parts kept after setup; the state that came with it isn't. */
interface Open {
  readonly config: StudentConfig;
  readonly classNames: readonly string[];
  readonly trainer: Trainer;
  /** null: the teacher sends logits, or there is no teacher. */
  readonly rebuild: LogitsRebuild | null;
  readonly withLabels: (batch: TrainingBatch) => TrainingBatch;
  readonly pace: Pace;
}

export class ComputeSession implements ComputeCalls {
  #open: Open | null = null;
  #group: Collective = singleProcess;
  /** Input of the last step, for retry(). */
  #lastInput: MicroBatch[] = [];

  join(options: GroupOptions, text: string): JoinedGroup {
    const group = TensorflowCollective.join(options);
    this.#group = group;
    return { texts: gatherTexts(group, text), newsDescriptor: group.newsDescriptor };
  }

  stopStart(): void {
    agree(this.#group, 'stop');
    this.leave();
  }

  setup(setup: ComputeSetup): ComputeReady {
    if (agree(this.#group, 'go').wish === 'stop') {
      this.leave();
      throw new StopAgreedError();
    }
    requireSameTeacher(this.#group, setup.teacher?.digest ?? 'none');
    const trainer = buildTrainer({
      config: setup.config,
      classes: setup.classNames.length,
      teacherChannels: setup.teacher?.featureChannels ?? null,
      group: this.#group,
    });
    const { network } = trainer.parts;
    if (setup.startWeights !== null) loadStartWeights(network, setup.startWeights);
    if (setup.state !== null) loadState(trainer, setup.state);
    shareState(this.#group, trainer, setup);
    const classifier = setup.teacher?.classifier ?? null;
    const rebuild = classifier === null ? null : new LogitsRebuild(classifier);
    const withLabels = labelSource(setup);
    const { config, classNames } = setup;
    const pace = new Pace(this.#group);
    this.#open = { config, classNames, trainer, rebuild, withLabels, pace };
    const parameters = network.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
    return { parameters, featureChannels: network.featureChannels, engine: engineInfo() };
  }

  step(step: number, microBatches: readonly MicroBatch[], waitedSeconds: number): StepOutcome {
    this.#lastInput = [...microBatches];
    return this.#run(step, waitedSeconds);
  }

  retry(
    step: number,
    replacements: readonly ReplyReplacement[],
    waitedSeconds: number,
  ): StepOutcome {
    for (const { microBatch, crop, reply } of replacements) {
      const input = this.#lastInput[microBatch]!;
      const replies = [...input.replies!];
      replies[crop] = reply;
      this.#lastInput[microBatch] = { ...input, replies };
    }
    return this.#run(step, waitedSeconds);
  }

  evaluate(sample: Sample): EvaluatedImage {
    const { config, classNames, trainer } = this.#ready();
    const segmenter = networkSegmenter(trainer.parts.network, config.student);
    const prediction = predictLabels(segmenter, sample);
    const confusion = new ConfusionMatrix(classNames.length);
    confusion.add(prediction, sample.labels);
    return { counts: confusion.counts, prediction };
  }

  goOn(): boolean {
    const { pace } = this.#ready();
    return pace.aside(() => agree(this.#group, 'go').wish === 'go');
  }

  gather(bytes: Uint8Array): Uint8Array[] {
    return this.#ready().pace.aside(() => this.#group.allGatherBytes(bytes));
  }

  snapshot(): StateFiles {
    const { trainer, ...setup } = this.#ready();
    return saveState(trainer, setup);
  }

  endTraining(haveAgreed: boolean): string | null {
    if (this.#group.size === 1) return null;
    if (!haveAgreed) agree(this.#group, 'stop');
    const { trainer, ...setup } = this.#ready();
    return requireSameState(this.#group, viewState(trainer, setup));
  }

  leave(): void {
    // Not the barrier of close(), which a rank that is through may end for the others by leaving.
    if (this.#group.rank > 0) this.#group.barrier();
    else tolerateLoss(() => this.#group.barrier());
    this.#group.close();
  }

  #run(step: number, waitedSeconds: number): StepOutcome {
    const { trainer, withLabels, pace } = this.#ready();
    return scope(() => {
      pace.waited(waitedSeconds);
      const { batches, images } = pace.measure(() => this.#decoded());
      const agreed = pace.agree(images.length > 0 ? 'ask_again' : 'go');
      if (agreed === 'stop') return { kind: 'stopped' };
      if (agreed === 'ask_again') return { kind: 'nonfinite_reply', images };
      const outcome = pace.measure(() => trainer.step(step, batches.map(withLabels)));
      if (outcome.kind !== 'committed') return outcome;
      this.#lastInput = [];
      const group = pace.takeFigures();
      return group === null ? outcome : { ...outcome, group };
    });
  }

  /** The step's input, and the crops of it whose replies aren't finite. */
  #decoded() {
    const { config, rebuild } = this.#ready();
    const batches = this.#lastInput.map((input) => ({
      image_NHWC: normalise(input, config.student),
      labels: joinLabels(input),
      teacher: input.replies === null ? null : decodeReplies(input.replies, rebuild),
    }));
    return { batches, images: this.#nonFiniteReplies(batches) };
  }

  /** The crops whose replies aren't finite, found before anything is computed from them. */
  #nonFiniteReplies(batches: readonly TrainingBatch[]): { microBatch: number; crop: number }[] {
    const broken = batches.map(({ teacher }) => teacher !== null && !outputsFinite(teacher));
    return broken.flatMap((isBroken, microBatch) =>
      isBroken ? this.#brokenCrops(microBatch) : [],
    );
  }

  #brokenCrops(microBatch: number): { microBatch: number; crop: number }[] {
    const replies = this.#lastInput[microBatch]!.replies ?? [];
    const { rebuild } = this.#ready();
    return replies.flatMap((reply, crop) =>
      scope(() => outputsFinite(decodeReplies([reply], rebuild))) ? [] : [{ microBatch, crop }],
    );
  }

  #ready(): Open {
    if (this.#open === null) throw new Error('computing thread: called before setup');
    return this.#open;
  }
}

/** Of rank 0 with everything written: it no longer needs the others. */
function tolerateLoss(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof RankLostError)) throw error;
  }
}

function requireSameTeacher(group: Collective, digest: string): void {
  const digests = gatherTexts(group, digest);
  const other = digests.findIndex((each) => each !== digests[0]);
  if (other < 0) return;
  throw new ContractMismatchError(
    `teacher: rank ${other}'s has the digest ${digests[other]}, rank 0's ${digests[0]}`,
  );
}

function outputsFinite(outputs: TeacherOutputs): boolean {
  const tensors: readonly (Tensor | null)[] = Object.values(outputs);
  return tensors.every((tensor) => tensor === null || isFiniteTensor(tensor));
}

/** With data.train.labels: teacher, the crops' own labels only mark where the image is. */
function labelSource({ config, teacher }: ComputeSetup): Open['withLabels'] {
  const { labels: from, minConfidence } = config.data.train;
  if (from === 'file') return (batch) => batch;
  return (batch) => {
    if (batch.teacher === null || teacher === null) {
      throw new Error('data.train.labels: teacher, but no reply came');
    }
    const options = { minConfidence, alignCorners: teacher.alignCorners };
    const labels = teacherLabels(given(batch.teacher, 'logits'), batch.labels, options);
    return { ...batch, labels };
  };
}

function joinLabels({ labels, height, width }: MicroBatch): LabelMaps {
  const data = new Uint8Array(labels.length * height * width);
  labels.forEach((map, crop) => {
    data.set(map, crop * height * width);
  });
  return { data, images: labels.length, height, width };
}
