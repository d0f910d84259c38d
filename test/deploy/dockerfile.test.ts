import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../../services/setup/subprocess.mjs';
import { USER } from '../support/deploy/containedProcess.js';
import { wheelProgram } from '../support/tools/wheelProgram.js';

const FILE = fileURLToPath(new URL('../../deploy/docker/Dockerfile', import.meta.url));
const STAGES = stagesOf(readFileSync(FILE, 'utf8'));

interface Stage {
  readonly base: string;
  /** Instruction and the rest, in order. */
  readonly lines: readonly (readonly [string, string])[];
}

/** By name; '' is what stands before the first FROM. */
function stagesOf(text: string): Map<string, Stage> {
  const joined = text.replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '');
  const stages = new Map<string, { base: string; lines: [string, string][] }>();
  let lines: [string, string][] = [];
  stages.set('', { base: '', lines });
  for (const line of joined.split('\n').filter((text) => text !== '')) {
    const [, word = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    const [, base = '', name = ''] = /^(\S+) AS (\w+)$/.exec(rest) ?? [];
    if (word === 'FROM') {
      lines = [];
      stages.set(name, { base, lines });
    } else lines.push([word, rest]);
  }
  return stages;
}

function instruction(stage: string, word: string): string {
  const { base, lines } = STAGES.get(stage)!;
  const found = lines.filter(([name]) => name === word).at(-1);
  return found?.[1] ?? (STAGES.has(base) ? instruction(base, word) : '');
}

test('hadolint finds nothing', async () => {
  const hadolint = await wheelProgram('hadolint');
  const { code, output } = await runProgram(hadolint, ['--failure-threshold', 'ignore', FILE]);
  assert.equal(output, '');
  assert.equal(code, 0);
});

test('hadolint does look', async () => {
  const hadolint = await wheelProgram('hadolint');
  const bad = join(fileURLToPath(new URL('.', import.meta.url)), 'bad.Dockerfile');
  const { code, output } = await runProgram(hadolint, ['--failure-threshold', 'ignore', bad]);
  assert.equal(code, 1, output);
  for (const rule of ['DL3007', 'DL3025', 'DL3002']) assert.match(output, new RegExp(rule));
});

for (const service of ['teacher', 'student']) {
  test(`${service}: node is process 1, as a user without a name`, () => {
    assert.equal(instruction(service, 'USER'), `${USER}:${USER}`);
    const entry = JSON.parse(instruction(service, 'ENTRYPOINT')) as string[];
    assert.deepEqual(entry, ['/usr/local/bin/node', '/app/services/cli/bin.mjs', service]);
    assert.ok(Array.isArray(JSON.parse(instruction(service, 'CMD'))));
  });

  test(`${service}: nothing is installed where it runs`, () => {
    const { base } = STAGES.get(service)!;
    assert.equal(base, 'run');
    const runs = ['run', service].flatMap((name) => STAGES.get(name)!.lines);
    const copied = runs.filter(([word]) => word === 'COPY').map(([, rest]) => rest);
    assert.deepEqual(copied, [
      '--from=build /usr/local/bin/node /usr/local/bin/node',
      '--from=build /image /app',
    ]);
    const ran = runs.filter(([word]) => word === 'RUN').map(([, rest]) => rest);
    assert.deepEqual(ran, [`install -d -o ${USER} -g ${USER} /data`]);
  });
}

test('what is built is what the tests assemble, and base images have a whole version', () => {
  assert.match(
    instruction('build', 'RUN'),
    / node deploy\/docker\/assemble\.mjs \/image --\$\{TENSORFLOW\}$/,
  );
  const args = STAGES.get('')!.lines.map(([, rest]) => rest);
  assert.equal(args.length, 2);
  for (const image of args) assert.match(image, /^\w+=\w+:\d+\.\d+[\w.-]*$/);
});
