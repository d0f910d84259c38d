/** `cirkd doctor`: what is there, what is missing, how to mend it. */
import { parseArgs } from 'node:util';
import type { Command } from '../command.js';
import type { Check } from '../doctor/check.js';
import { checkAddon, checkLibrary, checkTensorflow } from '../doctor/library.js';
import { checkCamvid, checkCores, checkDisk, checkMemory } from '../doctor/machine.js';
import { probe } from '../doctor/probe.js';
import { checkCompiler, checkNode, checkPackages, checkPip } from '../doctor/toolchain.js';
import { packageRoot } from '../packageRoot.js';

const MARKS = { ok: 'ok     ', missing: 'MISSING', note: 'note   ' } as const;

export const command: Command = {
  name: 'doctor',
  summary: 'Says what is installed, what is missing and how to mend it.',
  usage: `cirkd doctor [--json] [--camvid DIR]

  --json         print one JSON object instead of lines
  --camvid DIR   also look at a CamVid folder
  --probe        load TensorFlow in this process and print what it says (doctor runs this itself)

Exit code 0 where all that is needed is there, else 2.`,
  async run(argv) {
    const { values } = parseArgs({
      args: argv,
      options: {
        json: { type: 'boolean' },
        camvid: { type: 'string' },
        probe: { type: 'boolean' },
      },
    });
    if (values.probe) {
      process.stdout.write(`${JSON.stringify({ probe: await probe() })}\n`);
      return 0;
    }
    const checks = await examine(packageRoot(), values.camvid);
    const ready = checks.every(({ status }) => status !== 'missing');
    process.stdout.write(values.json ? `${JSON.stringify({ ready, checks }, null, 2)}\n` : '');
    if (!values.json) print(checks, ready);
    return ready ? 0 : 2;
  },
};

async function examine(root: string, camvid: string | undefined): Promise<Check[]> {
  const installed = [checkPackages(root), await checkLibrary(root), checkAddon(root)];
  const setupDone = installed.every(({ status }) => status === 'ok');
  const checks = [
    checkNode(),
    await checkPip(!setupDone),
    await checkCompiler(!setupDone),
    ...installed,
  ];
  if (setupDone) checks.push(...(await checkTensorflow(root)));
  checks.push(checkCores(), checkMemory(), ...(await checkDisk(root, setupDone)));
  if (camvid !== undefined) checks.push(checkCamvid(camvid));
  return checks;
}

function print(checks: readonly Check[], ready: boolean): void {
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, status, detail, mend } of checks) {
    process.stdout.write(`${MARKS[status]}  ${name.padEnd(width)}  ${detail}\n`);
    if (mend !== undefined) {
      process.stdout.write(`${' '.repeat(width + 11)}to mend it: ${mend}\n`);
    }
  }
  process.stdout.write(ready ? '\nAll that is needed is there.\n' : '\nSomething is missing.\n');
}
