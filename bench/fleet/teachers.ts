/** `cirkd teacher` processes on free ports of this machine. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));
const READY = /^teacher ready: grpc (\S+),/;
const COMPLAINTS_LENGTH = 4000;

export interface SimulatedSize {
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly channels: number;
  /** Of one image. */
  readonly latencyMs: number;
}

export class Teachers {
  readonly addresses: readonly string[];
  readonly #children: readonly ChildProcess[];

  /** One with the network of a model file. */
  static checkpoint(path: string): Promise<Teachers> {
    return Teachers.#start(1, [`checkpoint=${JSON.stringify(path)}`]);
  }

  /** Some that simulate; the first answer of each takes longer. */
  static simulated(count: number, size: SimulatedSize): Promise<Teachers> {
    const { classes, channels, latencyMs } = size;
    return Teachers.#start(count, [
      'simulate.enabled=true',
      `simulate.classes=${classes}`,
      `simulate.featureChannels=${channels}`,
      `simulate.latencyMs=${latencyMs}`,
      'encodings=[int8, fp16]',
    ]);
  }

  static async #start(count: number, keys: readonly string[]): Promise<Teachers> {
    const children: ChildProcess[] = [];
    process.once('exit', () => {
      for (const child of children) child.kill('SIGKILL');
    });
    // One after the other: a start takes a core, and a full machine would slow all of them.
    const addresses: string[] = [];
    while (addresses.length < count) addresses.push(await startOne(keys, children));
    return new Teachers(addresses, children);
  }

  private constructor(addresses: readonly string[], children: readonly ChildProcess[]) {
    this.addresses = addresses;
    this.#children = children;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#children.map((child) => {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        return ended;
      }),
    );
  }
}

/** Resolves with its address. */
async function startOne(keys: readonly string[], children: ChildProcess[]): Promise<string> {
  const args = ['teacher', '--port', '0', '--metrics-port', '0'];
  const child = spawn(process.execPath, [BIN, ...args, ...keys.flatMap((key) => ['--set', key])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CUDA_VISIBLE_DEVICES: '' },
  });
  children.push(child);
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-COMPLAINTS_LENGTH);
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const address = READY.exec(line)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error(`a teacher ended before it was ready\n${complaints}`);
}
