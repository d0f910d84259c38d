/** Several --config files on top of one another. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readStudentConfig } from '../../services/index.js';
import { command } from '../../services/cli/commands/student.js';
import { studentSchema } from '../../services/program/studentSchema.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';

const BASE = `data:
  train: {kind: camvid, root: 2026}
  val: {kind: camvid, root: camvid}
  paddingPixel: [1, 2, 3]
teacher: {addresses: ['a:1', 'b:2']}
train: {steps: 10, batchSize: 4}
`;

/** Layers are named a.yaml, b.yaml, … */
function load(texts: readonly string[], overrides: string[] = []) {
  const [first, ...overlays] = texts.map((text, i) => ({
    text,
    fileName: `${String.fromCharCode(97 + i)}.yaml`,
  }));
  return loadConfig(studentSchema, { ...first!, overlays, overrides });
}

function refusal(texts: readonly string[], overrides: string[] = []): string[] {
  try {
    load(texts, overrides);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split('\n');
  }
  return assert.fail('no ConfigError');
}

test('sections are merged, lists and values replaced, the last file wins, --set wins over all', () => {
  const overlay =
    'teacher: {addresses: [c:3]}\ntrain: {steps: 20}\nloss: {weights: {fitnet: 10}}\n';
  const { teacher, train, loss, data } = load(
    [BASE, overlay, 'train: {steps: 30}'],
    ['train.batchSize=8'],
  );
  assert.deepEqual(teacher.addresses, ['c:3']);
  assert.deepEqual([train.steps, train.batchSize], [30, 8]);
  assert.deepEqual([loss.weights.fitnet, loss.weights.task], [10, 1]);
  assert.deepEqual(data.paddingPixel, [1, 2, 3]);
  // Text as it was written, in the file that it stands in.
  assert.equal(data.train.kind === 'camvid' && data.train.root, '2026');
  assert.equal(load([BASE, 'run: {id: 1e3}']).run.id, '1e3');
});

test('an empty overlay changes nothing, null replaces, the order of files matters', () => {
  assert.deepEqual(load([BASE, '', '# nothing\n']), load([BASE]));
  assert.equal(load([BASE, 'run: {id: x}', 'run: {id: null}']).run.id, null);
  assert.equal(load([BASE, 'seed: 1', 'seed: 2']).seed, 2);
  assert.equal(load([BASE, 'seed: 2', 'seed: 1']).seed, 1);
});

test('each fault names the file and line that the value came from', () => {
  const overlay = 'train:\n  steps: many\nloss:\n  weights: {fitnett: 1}\n';
  assert.deepEqual(refusal([BASE, overlay, 'train: {momentum: 7}'], ['seed=-1']), [
    'a.yaml + b.yaml + c.yaml: 4 faults',
    '  --set seed=-1: seed: got -1, wanted an integer from 0 to 4294967295',
    '  b.yaml line 2: train.steps: got "many", wanted an integer >= 1',
    '  c.yaml line 1: train.momentum: got 7, wanted a number >= 0 and < 1',
    '  b.yaml line 4: loss.weights.fitnett: unknown key, did you mean loss.weights.fitnet?',
  ]);
  // A list of an overlay hides the list below it.
  assert.match(
    refusal([BASE, '\ndata: {paddingPixel: [1, 2, 999]}'])[1]!,
    /^ {2}b\.yaml line 2: data\.paddingPixel\.2: got 999/,
  );
  // A required key that no file has: where its section begins, in the topmost file that has it.
  assert.match(
    refusal(['data: {}', 'data:\n  workers: 1\ntrain: {steps: 1}'])[1]!,
    /^ {2}b\.yaml line 1: data\.train: /,
  );
});

test('broken YAML and keys that contradict each other name their file, too', () => {
  assert.match(refusal([BASE, 'seed: [1'])[1]!, /^ {2}b\.yaml line 1: not YAML: /);
  const contradiction = refusal([BASE, 'train: {warmupSteps: 50}']);
  assert.match(contradiction[1]!, /^ {2}b\.yaml line 1: train\.warmupSteps: /);
  assert.match(refusal([BASE, '- a list'])[0]!, /^a\.yaml \+ b\.yaml: /);
});

test('__proto__ in an overlay is a key like any other, and unknown', () => {
  assert.match(
    refusal([BASE, 'train: {__proto__: {steps: 3}}'])[1]!,
    /b\.yaml line 1: train\.__proto__: unknown key/,
  );
  assert.equal(({} as { steps?: number }).steps, undefined);
});

test('the command and the library take several files', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-layers-'));
  try {
    const [a, b] = [join(folder, 'a.yaml'), join(folder, 'b.yaml')];
    writeFileSync(a, BASE);
    writeFileSync(b, 'train: {steps: 20}\n');
    assert.equal(readStudentConfig([a, b]).train.steps, 20);
    assert.equal(readStudentConfig([b, a]).train.steps, 10);
    assert.throws(() => readStudentConfig([]), /got no file/);
    const files = (...names: string[]) => names.flatMap((name) => ['--config', name]);
    const printed = await printedBy(() => command.run([...files(a, b), '--print-config']));
    assert.match(printed, /^ {2}steps: 20$/m);
    await assert.rejects(
      Promise.resolve(command.run(files(a, join(folder, 'none.yaml')))),
      /--config: ENOENT.*none\.yaml/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

async function printedBy(run: () => number | Promise<number>): Promise<string> {
  const { write } = process.stdout;
  let text = '';
  process.stdout.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof write;
  try {
    await run();
  } finally {
    process.stdout.write = write;
  }
  return text;
}
