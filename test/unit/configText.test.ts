import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { studentSchema } from '../../services/program/studentSchema.js';
import { ConfigError } from '../../src/config/configError.js';
import { checkConfig, loadConfig } from '../../src/config/load.js';
import { graphFileSchema } from '../../src/config/sections/graphSection.js';
import { teacherSchema } from '../../src/config/teacher.js';

const STUDENT = `data:
  train: {kind: camvid, root: 2026}
  val: {kind: camvid, root: ~/camvid}
train: {steps: 10}
`;

function student(overrides: string[] = [], text = STUDENT) {
  return loadConfig(studentSchema, { text, fileName: 'student.yaml', overrides });
}

function faults(overrides: string[], text = STUDENT): string[] {
  try {
    student(overrides, text);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.faults.map(({ key, message }) => `${key}: ${message}`);
  }
  return assert.fail('no ConfigError');
}

test('what YAML takes for a number, a date or a truth value is text where a key wants text', () => {
  for (const id of ['20261130', '007', '1e3', '0x10', '1.10', 'true', 'yes', '2026-11-30']) {
    assert.equal(student([`run.id=${id}`]).run.id, id);
    assert.equal(student([], `${STUDENT}run: {id: ${id}}\n`).run.id, id);
  }
  assert.equal(student(['run.id="7"']).run.id, '7');
  assert.equal(student(['run={id: 0x10, directory: 5}']).run.id, '0x10');
  assert.equal(student(['run={id: 0x10, directory: 5}']).run.directory, '5');
  const { train } = student().data;
  assert.equal(train.kind === 'camvid' && train.root, '2026');
});

test('null stays null, and text is not taken for a number', () => {
  assert.equal(student(['run.id=null']).run.id, null);
  assert.equal(student(['run.id=']).run.id, null);
  assert.deepEqual(faults(['train.steps="10"']), ['train.steps: got "10", wanted an integer >= 1']);
});

test('an override in which YAML sees a map or a list is text where a key wants text', () => {
  const host = (given: string) =>
    loadConfig(teacherSchema, {
      text: 'checkpoint: teacher.safetensors\n',
      fileName: 'teacher.yaml',
      overrides: [`listen.host=${given}`],
    }).listen.host;
  assert.equal(host('::'), '::');
  assert.equal(host('[::1]'), '[::1]');
  assert.deepEqual(faults(['run={id: {a: 1}}']), [
    'run.id: got {"a":1}, wanted 1 to 128 of A-Z a-z 0-9 . _ -, or null',
  ]);
});

test('items of a list are text as they stand, also behind an alias', () => {
  const text = 'classNames: [road, 1, no, &a 0x2, *a]\n';
  const config = loadConfig(graphFileSchema, { text, fileName: 'model.yaml' });
  assert.deepEqual(config.classNames, ['road', '1', 'no', '0x2', '0x2']);
});

test('~/ in the path of a file or folder is the home folder', () => {
  const { val } = student().data;
  assert.equal(val.kind === 'camvid' && val.root, join(homedir(), 'camvid'));
  const { run, student: network } = student([
    'run.directory=~/runs',
    'student.weights=~/w.safetensors',
  ]);
  assert.equal(run.directory, join(homedir(), 'runs'));
  assert.equal(network.weights, join(homedir(), 'w.safetensors'));
  assert.equal(student(['student.backboneWeights=a/~/b']).student.backboneWeights, 'a/~/b');
  const given = { checkpoint: '~/t.safetensors' };
  const teacher = checkConfig(teacherSchema, given, 'teacher config');
  assert.equal(teacher.checkpoint, join(homedir(), 't.safetensors'));
  assert.equal(given.checkpoint, '~/t.safetensors');
});

test('a backbone that the model lacks is a fault of the config, beside the other faults', () => {
  assert.deepEqual(faults(['student.backbone=resnet152', 'train.batchSize=1']), [
    'student.backbone: got "resnet152", student.model deeplabv3 wants one of resnet18, resnet34, resnet18_plain, resnet34_plain, resnet50, resnet101, resnet50_plain, resnet101_plain',
    'train.batchSize: got 1, wanted at least 2: deeplabv3 pools over the whole image, and batch norm after that has a single value (train.accumulateSteps does not help)',
  ]);
  assert.deepEqual(faults(['student.model=psp', 'student.backbone=mobilenetv2', 'seed=-1']), [
    'seed: got -1, wanted an integer from 0 to 4294967295',
    'student.backbone: got "mobilenetv2", student.model psp wants one of resnet18, resnet34, resnet18_plain, resnet34_plain, resnet50, resnet101, resnet50_plain, resnet101_plain',
  ]);
});
