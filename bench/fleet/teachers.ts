/** `cirkd teacher` processes on free ports of this machine. */
import { fileURLToPath } from 'node:url';
import { MeasuredProcess } from '../support/measuredProcess.js';

const BIN = fileURLToPath(new URL('../../services/cli/bin.mjs', import.meta.url));
const READY = /^teacher ready: grpc (\S+),/;

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
  readonly #running: readonly MeasuredProcess[];

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

  /** One after the other: a start takes a core, and a full machine would slow all of them. */
  static async #start(count: number, keys: readonly string[]): Promise<Teachers> {
    const addresses: string[] = [];
    const running: MeasuredProcess[] = [];
    const given = ['--port', '0', '--metrics-port', '0', ...keys.flatMap((key) => ['--set', key])];
    const env = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
    for (let i = 0; i < count; i++) {
      const teacher = new MeasuredProcess(
        'a teacher',
        process.execPath,
        [BIN, 'teacher', ...given],
        env,
      );
      running.push(teacher);
      let ready: RegExpExecArray | null = null;
      while (ready === null) ready = READY.exec(await teacher.line());
      addresses.push(ready[1]!);
    }
    return new Teachers(addresses, running);
  }

  private constructor(addresses: readonly string[], running: readonly MeasuredProcess[]) {
    this.addresses = addresses;
    this.#running = running;
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((teacher) => teacher.close('SIGTERM')));
  }
}
