/** One measured side of a case, from the outside. */
import { fileURLToPath } from 'node:url';
import { engineOnCpu, type MeasuredProcess, startSide } from '../support/measuredProcess.js';
import { peerEnvironment } from '../support/peerPackages.js';
import type { Answers, Ready, Request, SideName, SideTask } from './protocol.js';

const NETWORKS = fileURLToPath(new URL('../../test/support/torch', import.meta.url));

export interface Side {
  readonly ready: Ready;
  ask<K extends Request['do']>(request: Request & { readonly do: K }): Promise<Answers[K]>;
  close(): Promise<void>;
}

/** Resolves once the process is ready. @param torch folder of PyTorch's packages */
export async function openSide(name: SideName, task: SideTask, torch: string): Promise<Side> {
  const started = startProcess(name, [JSON.stringify(task)], torch);
  const ready = await started.first<Ready>();
  return { ready, ask: (request) => started.ask(request), close: () => started.close() };
}

function startProcess(name: SideName, args: readonly string[], torch: string): MeasuredProcess {
  if (name !== 'torch') {
    return startSide(import.meta.url, `${name}Side.ts`, args, engineOnCpu(), ['--expose-gc']);
  }
  const env = { ...peerEnvironment(torch, NETWORKS), CUDA_VISIBLE_DEVICES: '' };
  return startSide(import.meta.url, 'peer.py', args, env);
}
