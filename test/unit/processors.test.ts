import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exitCodeOf } from '../../services/library/errors.js';
import { chosenProcessors, threadsOn } from '../../services/program/processors.js';
import { isProcessorList, processorsOf } from '../../src/config/sections/processorList.js';
import { availableCores } from '../../src/threads/availableCores.js';

const root = mkdtempSync(join(tmpdir(), 'cirkd-processors-'));
after(() => rmSync(root, { recursive: true }));

/** A machine with processors 0 to 15, of which the process may use some. */
function machine(allowed: string): string {
  const folder = mkdtempSync(join(root, 'machine-'));
  mkdirSync(join(folder, 'proc/self'), { recursive: true });
  writeFileSync(
    join(folder, 'proc/self/status'),
    `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed:\t1\n`,
  );
  mkdirSync(join(folder, 'sys/devices/system/cpu'), { recursive: true });
  writeFileSync(join(folder, 'sys/devices/system/cpu/present'), '0-15\n');
  return folder;
}

test('lists of processors are those of Linux', () => {
  assert.deepEqual(processorsOf('8,0-3,2'), [0, 1, 2, 3, 8]);
  for (const good of ['0', '0-0', '12-15,3', '8191']) assert.ok(isProcessorList(good), good);
  for (const bad of ['', '3-1', '0-', '-1', '0,,1', '0 1', 'a', '0-3:2', '99999', '0x1']) {
    assert.ok(!isProcessorList(bad), bad);
  }
});

test('processors that are missing or that the process may not use are refused by number', () => {
  assert.deepEqual(chosenProcessors('4,6-7', machine('4-7')), [4, 6, 7]);
  assert.equal(chosenProcessors(null, machine('4-7')), null);
  const refused = (list: string, message: RegExp) =>
    assert.throws(
      () => chosenProcessors(list, machine('4-7')),
      (error) => message.test(String(error)) && exitCodeOf(error) === 2,
      list,
    );
  refused(
    '7,15-17',
    /cpus: got 7,15-17, but the machine has no processor 16, 17; wanted some of 4-7/,
  );
  refused(
    '3-4,8',
    /cpus: got 3-4,8, but this process may not use processor 3, 8 .*wanted some of 4-7/,
  );
  assert.throws(() => chosenProcessors('0', join(root, 'no-linux')), /only Linux can pin threads/);
});

test('unless given, threads are as many as the processors, within the quota', () => {
  assert.equal(threadsOn([0, 1], 7), 7);
  assert.equal(threadsOn(null, 0), 0);
  assert.equal(threadsOn([3], 0), 1);
  assert.equal(
    threadsOn(
      Array.from({ length: 8192 }, (_, i) => i),
      0,
    ),
    availableCores(),
  );
});
