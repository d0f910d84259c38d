/** One measured side of a case. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineEnvironment } from '../../services/setup/engineEnvironment.mjs';
import { MeasuredProcess } from '../support/measuredProcess.js';
import { peerEnvironment } from '../support/torchPackages.js';
import type { Answers, Ready, Request, SideName, SideTask } from './protocol.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const NETWORKS = fileURLToPath(new URL('../../test/support/torch', import.meta.url));

export class Side {
  readonly ready: Ready;
  readonly #process: MeasuredProcess;

  /** Resolves once the process is ready. @param torch folder of PyTorch's packages */
  static async start(name: SideName | 'graph', task: SideTask, torch: string): Promise<Side> {
    const [program, args] =
      name === 'torch'
        ? ['python3', [join(HERE, 'peer.py')]]
        : [process.execPath, ['--expose-gc', '--import', 'tsx', join(HERE, `${name}Side.ts`)]];
    const environment = sideEnvironment(name, torch);
    const side = new MeasuredProcess(name, program, [...args, JSON.stringify(task)], environment);
    return new Side(side, (await side.first()) as Ready);
  }

  private constructor(side: MeasuredProcess, ready: Ready) {
    this.#process = side;
    this.ready = ready;
  }

  async ask<K extends Request['do']>(request: Request & { readonly do: K }): Promise<Answers[K]> {
    return (await this.#process.ask(request)) as Answers[K];
  }

  close(): Promise<void> {
    return this.#process.close();
  }
}

/** Both on the CPU, also where there is a GPU; this side as `cirkd` itself starts. */
function sideEnvironment(name: SideName | 'graph', torch: string): NodeJS.ProcessEnv {
  const env = name === 'torch' ? peerEnvironment(torch, NETWORKS) : process.env;
  const hidden = { ...env, CUDA_VISIBLE_DEVICES: '' };
  return name === 'torch' ? hidden : { ...hidden, ...engineEnvironment(hidden) };
}
