import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../src/telemetry/log.js';

function logged(format: 'auto' | 'json' | 'text', isTTY: boolean) {
  const lines: string[] = [];
  const sink = { isTTY, write: (line: string) => lines.push(line) };
  return { lines, logger: createLogger({ service: 'student', level: 'info', format, sink }) };
}

test('JSON lines carry time, level, service, message and fields', () => {
  const { lines, logger } = logged('auto', false);
  logger.info({ step: 3 }, 'saved');
  logger.debug('not wanted');
  assert.equal(lines.length, 1);
  const record = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.match(String(record.time), /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(
    { ...record, time: 0 },
    { level: 'info', time: 0, service: 'student', step: 3, msg: 'saved' },
  );
});

test('the log is text on a terminal or if requested; a field cannot forge a line', () => {
  for (const [format, isTTY] of [
    ['auto', true],
    ['text', false],
  ] as const) {
    const { lines, logger } = logged(format, isTTY);
    logger.warn({ run: 'a b', step: 3, peer: 'x\n12:00 ERROR' }, 'two\nlines \x1b[31m');
    assert.match(
      lines[0] ?? '',
      /^\d\d:\d\d:\d\d\.\d{3} WARN {2}student: two\n {4}lines \\u001b\[31m run="a b" step=3 peer="x\\n12:00 ERROR"\n$/,
    );
  }
});

test('an error shows type and message; its stack only at level error', () => {
  const { lines, logger } = logged('text', false);
  logger.warn({ err: new TypeError('odd') }, 'hm');
  logger.error({ err: new TypeError('odd') }, 'bad');
  assert.match(lines[0] ?? '', /hm err="TypeError: odd"\n$/);
  assert.match(lines[1] ?? '', /bad err="TypeError: odd"\n {4}at /);
});
