/** op `checkpoint_read`: reads a .pth file bit for bit, or refuses it, without executing anything. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../../wire/checkpointError.js';
import type { NamedTensor } from '../../wire/safetensors.js';
import { readTorchCheckpoint } from '../../wire/torch/torchCheckpoint.js';
import { hostTensor } from '../hostTensor.js';
import {
  type GoldenCase,
  GoldenError,
  type HostTensor,
  type OperationResult,
  REFUSED,
} from '../operation.js';

/** For each outcome, whether the file may be read and whether it may be refused. */
const OUTCOMES: Readonly<Record<string, { readonly read: boolean; readonly refuse: boolean }>> = {
  read: { read: true, refuse: false },
  error: { read: false, refuse: true },
  read_or_error: { read: true, refuse: true },
};

export function checkpointRead(golden: GoldenCase): OperationResult | typeof REFUSED {
  const name = golden.text('outcome');
  const outcome = Object.hasOwn(OUTCOMES, name) ? OUTCOMES[name] : undefined;
  if (outcome === undefined)
    throw new GoldenError(`${golden.name}: outcome '${name}' is not known`);
  const bytes = readFileSync(join(golden.directory, relativePath(golden)));
  const before = canaries(golden);
  const result = readOrRefuse(golden, bytes);
  const appeared = canaries(golden).filter((path) => !before.includes(path));
  if (appeared.length > 0) throw new GoldenError(`${golden.name}: ${appeared} was created`);
  if (result instanceof CheckpointError) {
    if (outcome.refuse) return REFUSED;
    throw result;
  }
  if (!outcome.read) throw new GoldenError(`${golden.name}: was read, wanted an error`);
  checkNames(golden, result);
  return result;
}

function readOrRefuse(
  golden: GoldenCase,
  bytes: Uint8Array,
): Map<string, HostTensor> | CheckpointError {
  try {
    const tensors = readTorchCheckpoint(bytes, optionalText(golden, 'wrapper'));
    const prefix = optionalText(golden, 'strip_prefix') ?? '';
    return new Map([...tensors].map(([name, tensor]) => [without(prefix, name), exact(tensor)]));
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
}

function exact(tensor: NamedTensor): HostTensor {
  return { ...hostTensor(tensor), stored: tensor };
}

function without(prefix: string, name: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

/** Rejects unexpected tensors; the runner reports missing ones. */
function checkNames(golden: GoldenCase, result: ReadonlyMap<string, HostTensor>): void {
  const extra = [...result.keys()].filter((name) => !golden.expectedKeys.includes(name));
  if (extra.length > 0) {
    throw new GoldenError(`${golden.name}: tensors that aren't expected: ${extra.join(', ')}`);
  }
}

function relativePath(golden: GoldenCase): string {
  const path = golden.text('file');
  if (!path.startsWith('/') && !path.split('/').includes('..')) return path;
  throw new GoldenError(`${golden.name}: file '${path}' given, wanted one inside the set`);
}

/** The existing files among those that code in the checkpoint would create if it were executed. */
function canaries(golden: GoldenCase): string[] {
  const canary = optionalText(golden, 'canary');
  if (canary === undefined) return [];
  return [canary, join(golden.directory, canary)].filter((path) => existsSync(path));
}

function optionalText(golden: GoldenCase, param: string): string | undefined {
  return golden.params[param] === undefined ? undefined : golden.text(param);
}
