import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointOf, parseDnsName } from '../../src/rpc/target.js';

test('a dns: address has a host, a port, and maybe a DNS server', () => {
  const cases: [string, string, number, string | null][] = [
    ['dns:///teachers:50051', 'teachers', 50051, null],
    ['dns:teachers.example:1', 'teachers.example', 1, null],
    ['dns://10.0.0.10/teachers:65535', 'teachers', 65535, '10.0.0.10'],
    ['dns://127.0.0.1:5353/t.example.:2', 't.example.', 2, '127.0.0.1:5353'],
    ['dns://[::1]:5353/t:2', 't', 2, '[::1]:5353'],
    ['dns:///[::1]:2', '::1', 2, null],
  ];
  for (const [text, host, port, server] of cases) {
    assert.deepEqual(parseDnsName(text), { text, host, port, server });
  }
  for (const address of ['teachers:50051', '127.0.0.1:1', 'unix:/tmp/a', 'ipv4:1.2.3.4:5']) {
    assert.equal(parseDnsName(address), null);
  }
});

test('a malformed dns: address is refused, saying what was wanted', () => {
  for (const text of ['dns:///teachers', 'dns:///a:0', 'dns:///a:65536', 'dns:///a/b:1', 'dns:x']) {
    assert.throws(() => parseDnsName(text), {
      name: 'RangeError',
      message: `address: ${text} given, wanted dns:///host:port or dns://server/host:port`,
    });
  }
  assert.throws(() => parseDnsName('dns://resolver.example/a:1'), /wanted an IP or IP:port as DNS/);
});

test('an endpoint of a name keeps the name, unless that is an IP address', () => {
  const name = parseDnsName('dns:///teachers.example:5')!;
  const given = { host: 'teachers.example', port: 5 };
  assert.deepEqual(endpointOf(name, '10.1.2.3'), { address: '10.1.2.3:5', name: given });
  assert.deepEqual(endpointOf(name, 'fd00::1'), { address: '[fd00::1]:5', name: given });
  const number = parseDnsName('dns:///[fd00::1]:5')!;
  assert.deepEqual(endpointOf(number, 'fd00::1'), { address: '[fd00::1]:5' });
});
