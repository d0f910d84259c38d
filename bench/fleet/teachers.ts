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

export interface Teachers {
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

/** One with the network of a model file. */
export function checkpointTeacher(path: string): Promise<Teachers> {
  return startTeachers(1, [`checkpoint=${JSON.stringify(path)}`]);
}

/** Some that simulate; the first answer of each takes longer. */
export function simulatedTeachers(count: number, size: SimulatedSize): Promise<Teachers> {
  const { classes, channels, latencyMs } = size;
  return startTeachers(count, [
    ...['simulate.enabled=true', `simulate.classes=${classes}`],
    ...[`simulate.featureChannels=${channels}`, `simulate.latencyMs=${latencyMs}`],
    'encodings=[int8, fp16]',
  ]);
}

/** One after the other: a start takes a core, and a full machine would slow all of them. */
async function startTeachers(count: number, keys: readonly string[]): Promise<Teachers> {
  const addresses: string[] = [];
  const running: MeasuredProcess[] = [];
  const given = ['--port', '0', '--metrics-port', '0', ...keys.flatMap((key) => ['--set', key])];
  const args = [BIN, 'teacher', ...given];
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
  for (let i = 0; i < count; i++) {
    const teacher = new MeasuredProcess('a teacher', process.execPath, args, env);
    running.push(teacher);
    let ready: RegExpExecArray | null = null;
    while (ready === null) ready = READY.exec(await teacher.line());
    addresses.push(ready[1]!);
  }
  const close = async () => {
    await Promise.all(running.map((teacher) => teacher.close('SIGTERM')));
  };
  return { addresses, close };
}
