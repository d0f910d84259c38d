/** Addresses in configs: Unix sockets on both sides, IPv6 hosts in files and on the command line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNetworkOptions } from '../../services/cli/networkOptions.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import { teacherSchema } from '../../src/config/teacher.js';

const STUDENT =
  'data: {train: {kind: synthetic, samples: 8}, val: {kind: synthetic, samples: 4, seed: 1}}\ntrain: {steps: 1}\n';
const LONG = `unix:/${'x'.repeat(107)}`;

const teacher = (...overrides: string[]) =>
  loadConfig(teacherSchema, { text: 'simulate: {enabled: true}', fileName: 't.yaml', overrides });
const student = (...overrides: string[]) =>
  loadConfig(studentSchema, { text: STUDENT, fileName: 's.yaml', overrides });

/** Key and message of the only fault. */
function faultOf(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.faults.length, 1, error.message);
    return `${error.faults[0]!.key}: ${error.faults[0]!.message}`;
  }
  return assert.fail('no ConfigError');
}

test('a teacher may listen on a port, on a socket, on both, but not on neither', () => {
  const { listen } = teacher('listen.socket=unix:/run/cirkd/t.sock');
  assert.deepEqual(
    [listen.port, listen.socket, listen.socketAccess],
    [50_051, 'unix:/run/cirkd/t.sock', 'user'],
  );
  assert.equal(teacher('listen.port=null', 'listen.socket=unix:t.sock').listen.port, null);
  assert.equal(
    faultOf(() => teacher('listen.port=null')),
    'listen.port: got null, wanted a port: there is no listen.socket either',
  );
});

test('paths that are too long, abstract sockets and other forms are refused by name, on both sides', () => {
  const wrong = [LONG, 'unix-abstract:teacher', 'unix-abstract:teacher:1', 'unix://host/t.sock'];
  for (const address of wrong) {
    const wanted = /unix:path, the path at most 107 bytes long/;
    const listened = faultOf(() => teacher(`listen.socket=${address}`));
    assert.match(listened, /^listen\.socket: got "unix/, address);
    assert.match(listened, wanted);
    const connected = faultOf(() => student(`teacher.addresses=["${address}"]`));
    assert.match(connected, /^teacher\.addresses\.0: got "unix/, address);
    assert.match(connected, wanted);
    assert.throws(() => checkNetworkOptions({ teacher: address, 'teacher-timeout': '1' }), {
      name: 'UsageError',
      message: /^--teacher: "unix.*given, (a path of 108 bytes|an abstract|not a Unix).*107 bytes/,
    });
  }
  assert.match(
    faultOf(() => teacher('listen.socket=/run/t.sock')),
    /^listen\.socket: got "\/run\/t\.sock", wanted unix:path/,
  );
  const longest = LONG.slice(0, -1);
  assert.deepEqual(student(`teacher.addresses=["${longest}"]`).teacher.addresses, [longest]);
  checkNetworkOptions({ teacher: longest, 'teacher-timeout': '1' });
});

test('IPv6 hosts: on the command line as they are, with and without brackets', () => {
  for (const host of ['::', '::1', '[::]', '[::1]', 'fe80::', '2001:db8::']) {
    assert.equal(teacher(`listen.host=${host}`).listen.host, host);
    assert.equal(student(`metrics.host=${host}`).metrics.host, host);
  }
  assert.deepEqual(student('teacher.addresses=["[::1]:50051"]').teacher.addresses, ['[::1]:50051']);
  for (const host of ['"[teacher]"', '"[::1"', '"[::1]:1"']) {
    assert.match(
      faultOf(() => teacher(`listen.host=${host}`)),
      /^listen\.host: got .*, wanted a host name or an IP address$/,
    );
  }
});

test('other values of the command line stay YAML', () => {
  assert.deepEqual(teacher('warmUp=[[16, 24]]').warmUp, [[16, 24]]);
  assert.equal(teacher('batch={maxImages: 4}').batch.maxImages, 4);
  assert.match(
    faultOf(() => teacher('listen.host={a: 1}')),
    /got \{"a":1\}/,
  );
});
