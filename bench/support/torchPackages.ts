/** PyTorch for the peers. */
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePython } from './pythonPackages.js';

/**
 * The folder for PYTHONPATH; installs it where it's missing. PyPI's wheel for Linux is the one with
 * CUDA (5 GB unpacked): on a machine without a GPU it computes with the same kernels as the CPU's.
 */
export function ensureTorch(say: (text: string) => void): Promise<string> {
  return ensurePython({ torch: '2.15.0', numpy: '2.3.5' }, say);
}

/** torchvision and what it needs besides PyTorch: goes on PYTHONPATH behind `ensureTorch`'s folder. */
export function ensureTorchvision(say: (text: string) => void): Promise<string> {
  return ensurePython({ torchvision: '0.29.2', pillow: '12.0.0' }, say, { alone: true });
}

/** With these packages and what the peers share, and further folders of Python modules. */
export function peerEnvironment(torch: string, ...folders: readonly string[]): NodeJS.ProcessEnv {
  const shared = fileURLToPath(new URL('.', import.meta.url));
  const PYTHONPATH = [torch, shared, ...folders].join(delimiter);
  // Nothing is left behind in the source tree.
  return { ...process.env, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' };
}
