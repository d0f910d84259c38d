/** The weights of a case for the peer, in the task's folder. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedTensors } from '../../src/wire/safetensors.js';
import { writeTorchCheckpoint } from '../../src/wire/torch/torchWriter.js';
import type { SideTask } from './protocol.js';

export const NETWORK = 'network.pth';
export const HEAD = 'head.pth';

export function writeWeights({ folder }: SideTask, name: string, weights: NamedTensors): void {
  writeFileSync(join(folder, name), writeTorchCheckpoint(weights));
}
