/** Addresses of models, the keys of teacher.oip, and servers behind a name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNetworkOptions } from '../../services/cli/networkOptions.js';
import { ConfigError } from '../../src/config/configError.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import { isOipAddress, oipEntry, parseOipAddress } from '../../src/oip/client/address.js';
import { DnsServer } from '../support/connections/dnsServer.js';
import { eventually } from '../support/eventually.js';
import { assertOipAnswer, oipStudent } from '../support/oip/oipStudent.js';
import { ScriptedOipServer } from '../support/oip/scriptedOipServer.js';
import { scriptedModel } from '../support/oip/scriptedModel.js';
import { imageOf } from '../support/students/scriptedStudent.js';

test('the parts of an address', () => {
  assert.deepEqual(parseOipAddress('oip://host:8001/model'), {
    ...{ isSecure: false, target: 'host:8001', model: 'model', version: '' },
  });
  assert.deepEqual(parseOipAddress('oips://[::1]:8001/a%2Fb%20c/7'), {
    ...{ isSecure: true, target: '[::1]:8001', model: 'a/b c', version: '7' },
  });
  const entry = oipEntry('oips+dns://10.0.0.2:53/triton.example:8001/m/2');
  assert.ok(entry !== null && 'name' in entry);
  const { host, port, server, text } = entry.name;
  assert.deepEqual([host, port, server], ['triton.example', 8001, '10.0.0.2:53']);
  assert.equal(text, 'oips+dns://10.0.0.2:53/triton.example:8001/m/2');
  assert.deepEqual(entry.endpointAt('10.1.1.1'), {
    address: 'oips://10.1.1.1:8001/m/2',
    name: { host: 'triton.example', port: 8001 },
  });
  assert.equal(entry.endpointAt('fd00::1').address, 'oips://[fd00::1]:8001/m/2');
});

test('what is no address of this protocol, and what is a malformed one', () => {
  for (const text of ['host:8001', 'dns:///host:1', 'unix:/a/b', 'oiphost:8001', 'oipx://a:1/m']) {
    assert.equal(isOipAddress(text), false, text);
    assert.equal(oipEntry(text), null, text);
  }
  const malformed = [
    'oip://host/model',
    'oip://host:8001',
    'oip://host:8001/',
    'oip://host:0/model',
    'oip://host:65536/model',
    'oip://host:8001/a/b/c',
    'oip://host:8001/a%ZZ',
    'oip://ho st:8001/a',
    'oip:host:8001/model',
    'oip+dns:///host:8001',
    'oip+dns:///host/model',
    'oip+dns://resolver/host:8001/model',
  ];
  for (const text of malformed) {
    assert.throws(() => oipEntry(text), RangeError, text);
  }
  assert.throws(() => oipEntry('oip://host/model'), {
    message: /^address: oip:\/\/host\/model given, wanted oip:\/\/host:port\/model\[\/version\]/,
  });
});

const STUDENT = `data:
  train: {kind: synthetic, samples: 8}
  val: {kind: synthetic, samples: 4, seed: 1}
train: {steps: 10}
`;

/** Faults of a config, by key; none if it is valid. */
function faults(...overrides: string[]): Record<string, string> {
  try {
    loadConfig(studentSchema, { text: STUDENT, fileName: 'student.yaml', overrides });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return Object.fromEntries(error.faults.map(({ key, message }) => [key, message]));
  }
  return {};
}

const addresses = (...all: string[]) => `teacher.addresses=${JSON.stringify(all)}`;
const ONE = addresses('oip://a:1/m', 'oip+dns:///b:2/m/3');

test('a config with oip addresses, and with keys for them', () => {
  assert.deepEqual(faults(ONE), {});
  assert.deepEqual(
    faults(
      addresses('oips://a:1/m'),
      'teacher.tls.ca=ca.pem',
      'teacher.tokenFile=token',
      'teacher.oip={input: x, datatype: BF16, layout: nhwc, normalisation: unit, headers: {x-a: "b"}}',
      `teacher.digest=oip:sha256:${'0'.repeat(64)}`,
    ),
    {},
  );
});

const FAULTS: readonly [string, string[], string, RegExp][] = [
  ['two protocols', [addresses('oip://a:1/m', 'b:2')], 'teacher.addresses', /^got b:2 beside oip/],
  ['an encoding', [ONE, 'teacher.encoding=fp16'], 'teacher.encoding', /^got fp16, wanted fp32/],
  ['logits', [ONE, 'teacher.logits=rebuilt'], 'teacher.logits', /^got rebuilt, wanted sent/],
  [
    'TLS without authorities',
    [addresses('oips://a:1/m')],
    'teacher.tls.ca',
    /^got null, wanted a file: oips:\/\/a:1\/m is over TLS/,
  ],
  [
    'plain text where TLS is set up',
    [ONE, 'teacher.tls.ca=ca.pem'],
    'teacher.addresses',
    /^got oip:\/\/a:1\/m, wanted oips/,
  ],
  [
    'half a normalisation',
    [ONE, 'teacher.oip.pixelMean=[1, 2, 3]'],
    'teacher.oip.pixelMean',
    /^got pixelMean alone, wanted all of pixelMean, pixelStd, channelOrder/,
  ],
  [
    'two normalisations',
    [ONE, 'teacher.oip.normalisation=unit', 'teacher.oip.channelOrder=bgr'],
    'teacher.oip.normalisation',
    /^got unit beside channelOrder, wanted one or the other/,
  ],
  [
    'classes that contradict',
    [ONE, 'teacher.oip.classes=3', 'teacher.oip.classNames=[a, b]'],
    'teacher.oip.classes',
    /^got 3, but classNames has 2/,
  ],
  [
    'a token among the headers',
    [ONE, 'teacher.oip.headers={authorization: Bearer x}'],
    'teacher.oip.headers',
    /wanted the token in a file/,
  ],
  [
    'an unknown data type',
    [ONE, 'teacher.oip.datatype=FP64'],
    'teacher.oip.datatype',
    /^got "FP64", wanted FP32, FP16, BF16, UINT8, or null/,
  ],
];

for (const [what, overrides, key, words] of FAULTS) {
  test(`a config with ${what}`, () => {
    const found = faults(...overrides);
    assert.deepEqual(Object.keys(found), [key]);
    assert.match(found[key]!, words);
  });
}

test('commands take the addresses, and keys by --oip', () => {
  const options = { 'teacher-timeout': '1' };
  const check = (teacher: string, more = {}) =>
    checkNetworkOptions({ ...options, teacher, ...more });
  check('oip://a:1/m,oip://b:1/m', { oip: ['normalisation=imagenet', 'feature=none'] });
  check('oips://a:1/m', { 'teacher-ca': 'ca.pem' });
  assert.throws(() => check('oip://a:1/m,b:2'), /^UsageError: --teacher: oip addresses beside/);
  assert.throws(() => check('oip://a/m'), /^UsageError: --teacher: address: oip:\/\/a\/m given/);
  assert.throws(() => check('oips://a:1/m'), /oips:\/\/a:1\/m given, wanted oip, or oips with --t/);
  assert.throws(() => check('oip://a:1/m', { 'teacher-ca': 'c' }), /given, wanted oips, as/);
  assert.throws(() => check('oip://a:1/m', { oip: ['layot=nchw'] }), {
    name: 'ConfigError',
    message: /layot: unknown key, did you mean layout\?/,
  });
});

test('servers behind a name: each is a teacher, and one that appears joins', async (t) => {
  const ip = (n: number) => `127.0.0.${n}`;
  const dns = await DnsServer.start({ 'triton.example': [ip(1), ip(2)] });
  t.after(() => dns.close());
  const servers: ScriptedOipServer[] = [];
  t.after(() => {
    for (const server of servers) server.stop();
  });
  for (const n of [1, 2, 3]) {
    const port = servers[0]?.port ?? 0;
    servers.push(await ScriptedOipServer.start(scriptedModel(), { host: ip(n), port }));
  }
  const address = `oip+dns://${dns.address}/triton.example:${servers[0]!.port}/segmenter`;
  const { teacher, observed } = await oipStudent(t, [address], {}, { lookupIntervalMs: 20 });
  const isReady = (n: number) => observed.states.includes(`${servers[n]!.address} ready`);
  await eventually(() => isReady(0) && isReady(1));
  dns.set('triton.example', [ip(2), ip(3)]);
  await eventually(() => isReady(2) && observed.states.includes(`${servers[0]!.address} closed`));
  const images = Array.from({ length: 12 }, (_, i) => imageOf(i + 1));
  const replies = await Promise.all(images.map((image) => teacher.request(image)));
  for (const [index, reply] of replies.entries()) assertOipAnswer(reply, images[index]!);
  const asked = servers.map((server) => server.asked.filter((id) => id !== 'trial').length);
  assert.equal(asked[0], 0);
  assert.ok(asked[1]! > 0 && asked[2]! > 0, `${asked}`);
});
