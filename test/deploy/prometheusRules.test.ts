/** promtool's word on the rules: their form, and what each does with made-up figures. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../services/setup/subprocess.mjs';
import { RULES_FILE, rules } from '../support/deploy/monitoringFiles.js';
import { PROMETHEUS } from '../support/tools/goModules.js';
import { goPrograms } from '../support/tools/goProgram.js';

const CASES = fileURLToPath(new URL('rules.promtool.yaml', import.meta.url));
let promtool: string;

before(async () => {
  promtool = join(await goPrograms(PROMETHEUS), 'promtool');
});

test('promtool check rules', async () => {
  const args = ['check', 'rules', '--lint=all', '--lint-fatal', RULES_FILE];
  const { code, output } = await runProgram(promtool, args);
  assert.equal(code, 0, output);
  assert.match(output, new RegExp(`SUCCESS: ${rules().length} rules found`));
});

test('promtool test rules', async () => {
  const { code, output } = await runProgram(promtool, ['test', 'rules', CASES]);
  assert.equal(code, 0, output);
});
