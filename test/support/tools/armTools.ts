/** Debian's compiler and emulator for 64-bit Arm, unpacked into the set-up's cache: nothing is installed on the machine. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram, tail } from '../../../services/setup/subprocess.mjs';
import { cached } from './cached.js';

export interface ArmTools {
  /** g++ with its first arguments. */
  readonly compiler: readonly [program: string, ...args: string[]];
  readonly emulator: string;
  /** In which the compiler finds its libraries. */
  readonly env: NodeJS.ProcessEnv;
}

/** apt takes what these depend on and this machine lacks. */
const PACKAGES = ['g++-aarch64-linux-gnu', 'qemu-user-static'];
/** Of the emulators, one is enough: the others take 300 MB. */
const EMULATOR = './usr/bin/qemu-aarch64-static';

/** null where there is no apt-get. */
export async function armTools(): Promise<ArmTools | null> {
  const { code, missing, output } = await runProgram('apt-get', ['--version']);
  if (missing) return null;
  if (code !== 0) throw new Error(`apt-get --version failed:\n${tail(output)}`);
  const root = await cached('debian-g++-aarch64-qemu', unpackPackages);
  const libraries = join(root, 'usr', 'lib', 'x86_64-linux-gnu');
  return {
    compiler: [join(root, 'usr', 'bin', 'aarch64-linux-gnu-g++'), `--sysroot=${root}`],
    emulator: join(root, EMULATOR),
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
  };
}

async function unpackPackages(target: string, scratch: string): Promise<void> {
  const archives = join(scratch, 'archives');
  await mkdir(join(archives, 'partial'), { recursive: true });
  const apt = (...args: string[]) =>
    runProgram('apt-get', [
      ...['-y', '-q', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root'],
      ...['-o', `Dir::Cache::archives=${archives}`, ...args],
    ]);
  const download = ['--no-install-recommends', '--download-only', 'install', ...PACKAGES];
  let outcome = await apt(...download);
  if (outcome.code !== 0) {
    // Images come without the lists of packages.
    const lists = join(scratch, 'lists');
    await mkdir(join(lists, 'partial'), { recursive: true });
    const own = ['-o', `Dir::State::Lists=${lists}`];
    await apt(...own, 'update');
    outcome = await apt(...own, ...download);
  }
  if (outcome.code !== 0) {
    throw new Error(`apt-get could not download ${PACKAGES.join(', ')}:\n${tail(outcome.output)}`);
  }
  for (const name of (await readdir(archives)).filter((file) => file.endsWith('.deb'))) {
    const only = name.startsWith('qemu-user-static') ? ` ${EMULATOR}` : '';
    await expectSuccess('bash', [
      ...['-o', 'pipefail', '-c', `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2"${only}`],
      ...['unpack', join(archives, name), target],
    ]);
  }
}

async function expectSuccess(program: string, args: string[]): Promise<void> {
  const { code, output } = await runProgram(program, args);
  if (code !== 0) throw new Error(`${program} ${args.at(-2)}: exit code ${code}\n${tail(output)}`);
}
