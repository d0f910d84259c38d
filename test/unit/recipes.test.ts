/** The files in recipes/ are right configs, and say what was run of them. */
import { termWeights } from '../../src/contract/terms.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import { teacherSchema } from '../../src/config/teacher.js';
import { filesBelow } from '../../src/data/files/fileList.js';

const ROOT = fileURLToPath(new URL('../../recipes/', import.meta.url));
const recipes = filesBelow(ROOT, ['.yaml']).map((fileName) => ({
  fileName,
  text: readFileSync(`${ROOT}${fileName}`, 'utf8'),
}));

/** The comment that a file begins with. */
const headerOf = (text: string) => /^(#.*\n)+/.exec(text)?.[0] ?? '';

function load({ fileName, text }: { fileName: string; text: string }) {
  // Only a student's config has data.
  return /^data:/m.test(text)
    ? loadConfig(studentSchema, { text, fileName })
    : loadConfig(teacherSchema, { text, fileName });
}

/** Crop and steps of the official scripts; everything else is common to them. */
const PUBLISHED = [
  ['cirkd-cityscapes', { height: 512, width: 1024 }, 40_000],
  ['cirkd-camvid', { height: 360, width: 360 }, 40_000],
  ['cirkd-voc', { height: 512, width: 512 }, 40_000],
  ['cirkd-ade20k', { height: 512, width: 512 }, 80_000],
  ['cirkd-cocostuff', { height: 512, width: 512 }, 80_000],
] as const;

test('every recipe is accepted by its schema', () => {
  for (const recipe of recipes) assert.ok(load(recipe), recipe.fileName);
  const names = recipes.map(({ fileName }) => basename(fileName, '.yaml'));
  for (const name of PUBLISHED.map(([name]) => name)) {
    assert.ok(names.includes(name), `${name} is not among ${names}`);
  }
});

test('every recipe says what was run and what was not', () => {
  for (const { fileName, text } of recipes) {
    assert.match(headerOf(text), /^# Run: /m, fileName);
    assert.match(headerOf(text), /^# Not run: /m, fileName);
  }
});

const CIRKD = {
  ...{ task: 1, logits_kd: 1, minibatch_pixel: 1 },
  ...{ memory_pixel: 0.1, memory_region: 0.1 },
};

test("SKD's settings are those of the official script", () => {
  const found = recipes.find(({ fileName }) => fileName === 'skd-cityscapes.yaml')!;
  const { data, train, loss } = loadConfig(studentSchema, found);
  assert.deepEqual(data.crop, { height: 512, width: 1024 });
  assert.deepEqual([train.steps, train.batchSize, train.learningRate], [40_000, 16, 0.02]);
  const weights = { task: 1, logits_kd: 1, skd_pairwise: 10, skd_holistic: 0.001 };
  assert.deepEqual(loss.weights, termWeights(weights));
  const { kind, weight, learningRate, polyPower, betas } = loss.discriminator;
  assert.deepEqual([kind, weight, learningRate, polyPower], ['hinge', 0.1, 4e-4, 0]);
  assert.deepEqual(betas, [0.9, 0.99]);
});

test("the paper's settings are the published ones", () => {
  const recipe = (name: string) => {
    const found = recipes.find(({ fileName }) => fileName === `${name}.yaml`)!;
    return loadConfig(studentSchema, found);
  };
  for (const [name, crop, steps] of PUBLISHED) {
    const { data, train, loss, memory } = recipe(name);
    assert.deepEqual(data.crop, crop);
    assert.deepEqual(data.scale, { min: 0.5, max: 2, step: 0.1 });
    assert.deepEqual(
      [train.steps, train.batchSize, train.learningRate, train.weightDecay, train.momentum],
      [steps, 16, 0.02, 1e-4, 0.9],
    );
    assert.deepEqual(loss.weights, termWeights(CIRKD));
    assert.deepEqual([memory.pixelMemorySize, memory.regionMemorySize], [20_000, 2000]);
  }
});
