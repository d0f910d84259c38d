/**
 * Serves a network until it is killed. argv: a NetworkJob as JSON. Prints the port. From SIGUSR2 on it keeps the
 * images that come, unanswered, and prints a line for each.
 */
import { setTimeout } from 'node:timers/promises';
import { networkModel } from './networkModel.js';
import { ScriptedOipServer } from './scriptedOipServer.js';

export interface NetworkJob {
  readonly modelFile: string;
  readonly port: number;
  readonly hasTritonExtensions: boolean;
  /** For each image, besides the network. */
  readonly delayMs: number;
}

const { modelFile, port, hasTritonExtensions, delayMs } = JSON.parse(
  process.argv[2] ?? '',
) as NetworkJob;
let isHolding = false;
process.on('SIGUSR2', () => {
  isHolding = true;
});
const server = await ScriptedOipServer.start(networkModel(modelFile, hasTritonExtensions), {
  port,
  async onImage({ answer }) {
    if (isHolding) {
      process.stdout.write('held\n');
      return new Promise<never>(() => {});
    }
    await setTimeout(delayMs);
    return answer();
  },
});
process.stdout.write(`${server.port}\n`);
