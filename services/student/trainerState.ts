/** Converts everything that training changes to the files of a checkpoint and back. */
import { writeModelMetadata } from '../../src/models/files/modelFile.js';
import type { ModelState } from '../../src/models/modelState.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import type { NamedTensor } from '../../src/wire/safetensors.js';
import { scope } from '../../src/tensor/index.js';
import type { Trainer } from '../../src/train/trainer.js';
import type { ComputeSetup, StateFile, StateFiles } from './computeProtocol.js';

/**
 * Copies of the whole state. `student` is a model file, for evaluation and as a teacher.
 * Throws if an update failed halfway.
 */
export function saveState(
  trainer: Trainer,
  setup: Pick<ComputeSetup, 'config' | 'classNames'>,
): StateFiles {
  trainer.requireWholeState();
  const { network, projectionHead, objective } = trainer.parts;
  const files: StateFiles = {
    student: {
      tensors: network.stateDict(),
      metadata: writeModelMetadata({
        spec: network.spec,
        normalisation: setup.config.student,
        classNames: setup.classNames,
      }),
    },
    optimizer: file(velocities(trainer)),
  };
  if (projectionHead !== null) files.projection_head = file(projectionHead.stateDict());
  const { pixel, region } = objective.banks;
  const banks = new Map([...(pixel?.exportState() ?? []), ...(region?.exportState() ?? [])]);
  // A bank returns views of its rows, which the next step overwrites.
  if (banks.size > 0) files.banks = file(copied(banks));
  return files;
}

/** Restores a saved state. Throws CheckpointError if it doesn't belong to this trainer. */
export function loadState(trainer: Trainer, files: StateFiles): void {
  const { network, projectionHead, objective } = trainer.parts;
  network.loadStateDict(need(files, 'student').tensors, { strict: true });
  projectionHead?.loadStateDict(need(files, 'projection_head').tensors, { strict: true });
  loadVelocities(trainer, need(files, 'optimizer'));
  const { pixel, region } = objective.banks;
  if (pixel === null && region === null) return;
  const banks = need(files, 'banks').tensors;
  try {
    pixel?.importState(banks);
    region?.importState(banks);
  } catch (error) {
    throw new CheckpointError(`banks: ${(error as Error).message}`);
  }
}

function velocities(trainer: Trainer): Map<string, NamedTensor> {
  const saved = new Map<string, NamedTensor>();
  for (const [parameter, velocity] of trainer.parts.optimizer.velocities()) {
    const state = stateOf(trainer, parameter.name);
    saved.set(
      parameter.name,
      scope(() => state.officialLayout(parameter, velocity.read())),
    );
  }
  return saved;
}

function loadVelocities(trainer: Trainer, saved: StateFile): void {
  for (const [parameter, velocity] of trainer.parts.optimizer.velocities()) {
    const tensor = saved.tensors.get(parameter.name);
    if (tensor === undefined) {
      throw new CheckpointError(`optimizer: velocity of ${parameter.name} is missing`);
    }
    const state = stateOf(trainer, parameter.name);
    scope(() => velocity.assign(state.nativeLayout(parameter, tensor)));
  }
}

function stateOf({ parts }: Trainer, parameterName: string): ModelState {
  const inHead = parameterName.startsWith('project_head.') && parts.projectionHead !== null;
  return inHead ? parts.projectionHead.state : parts.network.state;
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
