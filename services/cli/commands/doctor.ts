/** `cirkd doctor`: what is installed, what is missing, how to fix it. */
import { parseArgs } from 'node:util';
import { checkSetup } from '../../setup/checks.mjs';
import { report } from '../../setup/doctor.mjs';
import { hasSetup } from '../../setup/layout.mjs';
import type { Command } from '../command.js';
import type { Check } from '../doctor/check.js';
import { checkTensorflow } from '../doctor/library.js';
import { checkCamvid, checkCores, checkDisk, checkMemory } from '../doctor/machine.js';
import { probe } from '../doctor/probe.js';
import { packageRoot } from '../../program/packageRoot.js';

export const command: Command = {
  name: 'doctor',
  summary: 'Lists what is installed, what is missing and how to fix it.',
  usage: `cirkd doctor [--json] [--camvid DIR]

  --json         prints one JSON object instead of lines
  --camvid DIR   also checks a CamVid folder
  --probe        loads TensorFlow in this process and prints the result (run by doctor itself)

Exit codes: 0 everything needed is installed, 2 something is missing.`,
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
    return report(checks, values.json ?? false);
  },
};

async function examine(root: string, camvid: string | undefined): Promise<Check[]> {
  // A container image has the set-up's results, but not the set-up itself.
  const { checks, setupDone } = hasSetup(root)
    ? await checkSetup(root)
    : { checks: [], setupDone: true };
  if (setupDone) checks.push(...(await checkTensorflow(root)));
  checks.push(checkCores(), checkMemory(), ...(await checkDisk(root, setupDone)));
  if (camvid !== undefined) checks.push(checkCamvid(camvid));
  return checks;
}
