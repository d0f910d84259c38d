/** What training changes of a trainer, as the files of a checkpoint and back. */
import { writeModelMetadata } from '../../src/models/files/modelFile.js';
import { GRAPH_CONVOLUTION } from '../../src/models/graphConvolution.js';
import type { ModelState } from '../../src/models/modelState.js';
import { TERM_CONVOLUTIONS } from '../../src/models/termConvolutions.js';
import { scope } from '../../src/tensor/index.js';
import { DISCRIMINATOR } from '../../src/train/adversary/discriminatorModel.js';
import type { Trainer } from '../../src/train/trainer.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import type { ComputeSetup, StateFile, StateFiles } from './computeProtocol.js';

/** The file of the channel terms' projection head. */
const CHANNEL_HEAD = 'channel_projection_head';

/**
 * Copies of the whole state. `student` is a model file, for evaluation and as a teacher.
 * Throws if an update failed halfway.
 */
export function saveState(
  trainer: Trainer,
  setup: Pick<ComputeSetup, 'config' | 'classNames'>,
): StateFiles {
  const files = viewState(trainer, setup);
  const { banks } = files;
  return banks === undefined ? files : { ...files, banks: file(copied(banks.tensors)) };
}

/** The same without a copy of the banks, which the next step overwrites. */
export function viewState(
  trainer: Trainer,
  setup: Pick<ComputeSetup, 'config' | 'classNames'>,
): StateFiles {
  trainer.requireWholeState();
  const { network, projectionHead, channel, termConvolutions, adversary, objective } =
    trainer.parts;
  const files: StateFiles = {
    student: {
      tensors: network.stateDict(),
      metadata: writeModelMetadata({
        spec: network.spec,
        normalisation: setup.config.student,
        classNames: setup.classNames,
      }),
    },
    optimizer: file(optimizerState(trainer)),
  };
  if (projectionHead !== null) files.projection_head = file(projectionHead.stateDict());
  if (channel !== null) files[CHANNEL_HEAD] = file(channel.head.stateDict());
  if (termConvolutions !== null) files[TERM_CONVOLUTIONS] = file(termConvolutions.stateDict());
  const { graphConvolution } = trainer.parts;
  if (graphConvolution !== undefined) files[GRAPH_CONVOLUTION] = file(graphConvolution.stateDict());
  if (adversary !== null) files[DISCRIMINATOR] = file(adversary.parts.model.state.stateDict());
  const { pixel, region, channel: channelRows } = objective.banks;
  const banks = new Map<string, NamedTensor>();
  for (const bank of [pixel, region, channelRows]) {
    for (const [name, tensor] of bank?.exportState() ?? []) banks.set(name, tensor);
  }
  if (banks.size > 0) files.banks = file(banks);
  return files;
}

/** Restores a saved state. Throws CheckpointError if it doesn't belong to this trainer. */
export function loadState(trainer: Trainer, files: StateFiles): void {
  const { network, projectionHead, channel, termConvolutions, adversary, objective } =
    trainer.parts;
  network.loadStateDict(need(files, 'student').tensors, { strict: true });
  projectionHead?.loadStateDict(need(files, 'projection_head').tensors, { strict: true });
  channel?.head.loadStateDict(need(files, CHANNEL_HEAD).tensors, { strict: true });
  termConvolutions?.loadStateDict(need(files, TERM_CONVOLUTIONS).tensors, { strict: true });
  const { graphConvolution } = trainer.parts;
  graphConvolution?.loadStateDict(need(files, GRAPH_CONVOLUTION).tensors, { strict: true });
  adversary?.parts.model.state.loadStateDict(need(files, DISCRIMINATOR).tensors, { strict: true });
  loadOptimizer(trainer, need(files, 'optimizer'));
  const { pixel, region, channel: channelRows } = objective.banks;
  const used = [pixel, region, channelRows].filter((bank) => bank !== null && bank !== undefined);
  if (used.length === 0) return;
  const banks = need(files, 'banks').tensors;
  try {
    for (const bank of used) bank.importState(banks);
  } catch (error) {
    throw new CheckpointError(`banks: ${(error as Error).message}`);
  }
}

/** Every slot of every parameter of both optimizers, with its saved name. */
function optimizerSlots({ parts: { optimizer, adversary } }: Trainer) {
  const all = [...optimizer.slots(), ...(adversary?.parts.optimizer.slots() ?? [])];
  return all.flatMap(([prefix, slots]) =>
    [...slots].map(([parameter, slot]) => ({
      name: `${prefix}${parameter.name}`,
      parameter,
      slot,
    })),
  );
}

function optimizerState(trainer: Trainer): Map<string, NamedTensor> {
  const saved = new Map<string, NamedTensor>();
  for (const { name, parameter, slot } of optimizerSlots(trainer)) {
    const state = stateOf(trainer, parameter.name);
    saved.set(
      name,
      scope(() => state.officialLayout(parameter, slot.read())),
    );
  }
  return saved;
}

function loadOptimizer(trainer: Trainer, saved: StateFile): void {
  for (const { name, parameter, slot } of optimizerSlots(trainer)) {
    const tensor = saved.tensors.get(name);
    if (tensor === undefined) throw new CheckpointError(`optimizer: ${name} is missing`);
    const state = stateOf(trainer, parameter.name);
    scope(() => slot.assign(state.nativeLayout(parameter, tensor)));
  }
}

function stateOf({ parts }: Trainer, parameterName: string): ModelState {
  const { network, projectionHead, channel, termConvolutions, adversary } = parts;
  const isIn = (part: string) => parameterName.startsWith(`${part}.`);
  if (isIn('project_head') && projectionHead !== null) return projectionHead.state;
  if (isIn('channel_project_head') && channel !== null) return channel.head.state;
  if (isIn(TERM_CONVOLUTIONS) && termConvolutions !== null) return termConvolutions.state;
  const { graphConvolution } = parts;
  if (isIn(GRAPH_CONVOLUTION) && graphConvolution !== undefined) return graphConvolution.state;
  if (isIn(DISCRIMINATOR) && adversary !== null) return adversary.parts.model.state;
  return network.state;
}

function need(files: StateFiles, name: string): StateFile {
  const found = files[name];
  if (found === undefined) throw new CheckpointError(`${name}.safetensors: not in the checkpoint`);
  return found;
}

function copied(tensors: ReadonlyMap<string, NamedTensor>): Map<string, NamedTensor> {
  return new Map([...tensors].map(([name, t]) => [name, { ...t, data: t.data.slice() }]));
}

function file(tensors: Map<string, NamedTensor>): StateFile {
  return { tensors, metadata: {} };
}
