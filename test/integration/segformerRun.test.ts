/** A SegFormer learns from a SegFormer in another process, at stride 4; a student of stride 8 is refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readEvents } from '../../src/run/events.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from '../support/training/tinyRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-segformer-run-'));
after(() => rmSync(folder, { recursive: true }));

const TERMS = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'];
const STEPS = 4;
const SEGFORMER = [
  'student.model=segformer',
  'student.backbone=mit_b0',
  'student.widthMultiplier=1',
];

async function runStudent(address: string, id: string, ...more: string[]) {
  const settings = [
    `teacher.addresses=["${address}"]`,
    ...[`run.id=${id}`, `train.steps=${STEPS}`, 'train.learningRate=0.001'],
    ...['evaluate.pictures=0', ...more],
  ];
  const set = settings.flatMap((one) => ['--set', one]);
  const student = new CirkdProcess('student', '--config', tinyStudent(folder), ...set);
  try {
    return { code: await student.exit(), stderr: student.stderr };
  } finally {
    student.kill();
  }
}

test('every term trains, with fp32 and with int8 and rebuilt logits; drop path stays the same', async () => {
  const network = { model: 'hf_segformer', backbone: 'mit_b0', widthMultiplier: 1 } as const;
  const teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder, { network }));
  await teacher.ready();
  const { grpcPort } = await teacher.listening();
  const address = `127.0.0.1:${grpcPort}`;
  try {
    const ways = [
      ['first', 'teacher.encoding=fp32'],
      ['again', 'teacher.encoding=fp32'],
      ['packed', 'teacher.encoding=int8', 'teacher.logits=rebuilt'],
    ] as const;
    const losses = new Map<string, number[]>();
    for (const [id, ...more] of ways) {
      const { code, stderr } = await runStudent(address, id, ...SEGFORMER, ...more);
      assert.equal(code, 0, stderr);
      const events = await readEvents(join(folder, id, 'events.jsonl'));
      const steps = events.flatMap((event) =>
        event.kind === 'step'
          ? [(event as unknown as { terms: Record<string, number> }).terms]
          : [],
      );
      assert.equal(steps.length, STEPS);
      for (const terms of steps) {
        const missing = TERMS.filter((term) => !Number.isFinite(terms[term]));
        assert.deepEqual(missing, [], `${id}: ${JSON.stringify(terms)}`);
      }
      losses.set(
        id,
        steps.flatMap((terms) => TERMS.map((term) => terms[term]!)),
      );
    }
    assert.deepEqual(losses.get('again'), losses.get('first'));
    for (const [i, value] of losses.get('packed')!.slice(0, TERMS.length).entries()) {
      const wanted = losses.get('first')![i]!;
      assert.ok(
        Math.abs(value - wanted) <= 0.02 * Math.max(Math.abs(wanted), 0.05),
        `${TERMS[i]}: ${value}, with fp32 ${wanted}`,
      );
    }
    const { code, stderr } = await runStudent(address, 'coarse');
    assert.equal(code, 4, stderr);
    assert.match(stderr, /output_stride: .*4.*8/);
  } finally {
    teacher.kill();
  }
});

test('a width that SegFormer does not have is a config error: exit 2', async () => {
  const { code, stderr } = await runStudent('127.0.0.1:1', 'narrow', ...SEGFORMER.slice(0, 2));
  assert.equal(code, 2, stderr);
  assert.match(
    stderr,
    /student\.widthMultiplier.*got 0\.125, student\.model segformer has width 1/,
  );
});
