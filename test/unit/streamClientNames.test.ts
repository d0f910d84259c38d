/** Teachers behind a DNS name: they join and leave as the answers of a DNS server of ours change. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { TeacherUnavailableError } from '../../src/contract/teacher.js';
import { openClientSecurity } from '../../src/rpc/security/clientSecurity.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';
import { Authority } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { DnsServer, type Zone } from '../support/connections/dnsServer.js';
import { eventually } from '../support/eventually.js';
import { assertAnswers, imageOf, studentOptions } from '../support/students/scriptedStudent.js';
import { student, teachers } from '../support/teachers/scriptedFleet.js';
import { type Script, ScriptedTeacher } from '../support/teachers/scriptedTeacher.js';

const NAME = 'teachers.example';
const HOUR_MS = 3_600_000;

async function dnsServer(t: TestContext, zone: Zone): Promise<DnsServer> {
  const dns = await DnsServer.start({ [NAME]: zone });
  t.after(() => dns.close());
  return dns;
}

const ip = (n: number) => `127.0.0.${n}`;

/** Teachers at 127.0.0.1, 127.0.0.2, …, all on the port of the first. */
async function onOnePort(t: TestContext, ...scripts: Script[]): Promise<ScriptedTeacher[]> {
  const all: ScriptedTeacher[] = [];
  t.after(() => {
    for (const teacher of all) teacher.stop();
  });
  for (const [i, script] of scripts.entries()) {
    const port = all[0]?.port ?? 0;
    all.push(await ScriptedTeacher.start({ ...script, host: ip(i + 1), port }));
  }
  return all;
}

const nameOf = (dns: DnsServer, { port }: ScriptedTeacher) =>
  `dns://${dns.address}/${NAME}:${port}`;

async function askMany(teacher: Awaited<ReturnType<typeof student>>['teacher'], count: number) {
  const images = Array.from({ length: count }, (_, i) => imageOf(i));
  const replies = await Promise.all(images.map((image) => teacher.request(image)));
  for (const [i, reply] of replies.entries()) assertAnswers(reply, images[i]!);
}

test('all addresses of a name get images; new ones join, removed ones get no more', async (t) => {
  const dns = await dnsServer(t, [ip(1), ip(2)]);
  const all = await onOnePort(t, {}, {}, {});
  const { teacher, observed } = await student(t, [nameOf(dns, all[0]!)], { lookupIntervalMs: 20 });
  const ready = (i: number) => observed.states.includes(`${all[i]!.address} ready`);
  await eventually(() => ready(0) && ready(1));
  await askMany(teacher, 20);
  assert.deepEqual(
    all.map(({ images }) => images.length > 0),
    [true, true, false],
  );
  dns.set(NAME, [ip(3), ip(2)]);
  await eventually(() => ready(2) && observed.states.includes(`${all[0]!.address} closed`));
  const before = all[0]!.images.length;
  await askMany(teacher, 20);
  assert.equal(all[0]!.images.length, before);
  assert.ok(all[2]!.images.length > 0, `${all[2]!.images.length}`);
  assert.deepEqual(observed.requeued, []);
  assert.deepEqual(
    all.map(({ streams }) => streams.length),
    [1, 1, 1],
  );
  assert.deepEqual(
    observed.names.map(({ addresses }) => addresses),
    [
      [all[0]!.address, all[1]!.address],
      [all[1]!.address, all[2]!.address],
    ],
  );
});

test('a teacher removed from DNS answers its images; when its address returns, it gets new ones', async (t) => {
  const held: (() => Promise<void>)[] = [];
  const dns = await dnsServer(t, [ip(1)]);
  const all = await onOnePort(
    t,
    { onImage: async (stream, image) => void held.push(() => stream.answer(image)) },
    {},
  );
  const [leaving, other] = all.map(({ address }) => address);
  const { teacher, observed } = await student(t, [nameOf(dns, all[0]!)], { lookupIntervalMs: 20 });
  const answer = teacher.request(imageOf(1));
  await eventually(() => held.length === 1);
  dns.set(NAME, [ip(2)]);
  await eventually(() => observed.states.includes(`${leaving} leaving`));
  await eventually(() => observed.states.includes(`${other} ready`));
  await askMany(teacher, 5);
  assert.equal(held.length, 1);
  dns.set(NAME, [ip(1)]);
  const stays = [`${leaving} ready`, `${leaving} leaving`, `${leaving} ready`];
  await eventually(() => stays.every((state, i) => statesOf(leaving!)[i + 1] === state));
  await eventually(() => observed.states.includes(`${other} closed`));
  const second = teacher.request(imageOf(2));
  await eventually(() => held.length === 2);
  dns.set(NAME, [ip(2)]);
  await eventually(() => statesOf(leaving!).length === 5);
  for (const send of held) void send();
  assertAnswers(await answer, imageOf(1));
  assertAnswers(await second, imageOf(2));
  await eventually(() => statesOf(leaving!).at(-1) === `${leaving} closed`);
  await eventually(() => statesOf(other!).at(-1) === `${other} ready`);
  assert.deepEqual(observed.requeued, []);
  assert.equal(all[0]!.streams.length, 1);

  function statesOf(address: string): string[] {
    return observed.states.filter((state) => state.startsWith(`${address} `));
  }
});

test('a look-up that fails or finds no address changes nothing and is reported once', async (t) => {
  const dns = await dnsServer(t, [ip(1)]);
  const all = await onOnePort(t, {});
  const { teacher, observed } = await student(t, [nameOf(dns, all[0]!)], { lookupIntervalMs: 5 });
  for (const zone of ['failing', []] as const) {
    dns.set(NAME, zone);
    const asked = dns.questions.length;
    await eventually(() => dns.questions.length >= asked + 12);
    await askMany(teacher, 3);
  }
  dns.set(NAME, [ip(1)]);
  assert.deepEqual(
    observed.states.map((state) => state.split(' ')[1]),
    ['connecting', 'ready'],
  );
  const [first, ...problems] = observed.names;
  assert.deepEqual(first!.addresses, [all[0]!.address]);
  assert.deepEqual(
    problems.map(({ addresses, detail }) => [addresses, detail.replace(/:.*/, '')]),
    [
      [null, 'lookup failed'],
      [null, 'no address found'],
    ],
  );
});

test('a run may start before the name has an address', async (t) => {
  const dns = await dnsServer(t, []);
  const all = await onOnePort(t, {});
  const connecting = student(t, [nameOf(dns, all[0]!)], { lookupIntervalMs: 10 });
  await eventually(() => dns.questions.length >= 3);
  dns.set(NAME, [ip(1)]);
  const { teacher } = await connecting;
  await askMany(teacher, 2);
});

test('a name that never gets an address: the error says so', async (t) => {
  const dns = await dnsServer(t, []);
  const unknown = `dns://${dns.address}/no-such.example:1`;
  const none = `dns://${dns.address}/${NAME}:1`;
  const { options } = studentOptions([none, unknown, 'dns:///no-such-host.invalid:1'], {
    teacherTimeoutMs: 1500,
    lookupIntervalMs: 100,
  });
  await assert.rejects(connectTeachers(options), (error: Error) => {
    assert.ok(error instanceof TeacherUnavailableError, String(error));
    assert.match(error.message, /^no teacher answered for 1500 ms: /);
    for (const name of [none, unknown, 'dns:///no-such-host.invalid:1']) {
      assert.ok(error.message.includes(`${name} (`), error.message);
    }
    return true;
  });
});

test('an address is one teacher, however many entries resolve to it', async (t) => {
  const dns = await dnsServer(t, [ip(1), ip(1), ip(2)]);
  const all = await onOnePort(t, {}, {});
  const { address, port } = all[0]!;
  const named = nameOf(dns, all[0]!);
  const { teacher, observed } = await student(
    t,
    [address, named, address, named, `dns:///${ip(2)}:${port}`],
    { lookupIntervalMs: 10 },
  );
  await eventually(() => observed.states.includes(`${all[1]!.address} ready`));
  // Gone from the name, it is still given as it is.
  dns.set(NAME, [ip(2)]);
  const asked = dns.questions.length;
  await eventually(() => dns.questions.length >= asked + 8);
  await askMany(teacher, 10);
  assert.deepEqual(
    all.map(({ streams, images }) => [streams.length, images.length > 0]),
    [
      [1, true],
      [1, true],
    ],
  );
});

test('a lost teacher triggers a look-up at once', async (t) => {
  const dns = await dnsServer(t, [ip(1)]);
  const all = await onOnePort(t, {}, {});
  const { teacher, observed } = await student(t, [nameOf(dns, all[0]!)], {
    lookupIntervalMs: HOUR_MS,
  });
  await askMany(teacher, 2);
  dns.set(NAME, [ip(2)]);
  all[0]!.stop();
  await askMany(teacher, 5);
  assert.equal(all[1]!.images.length, 5);
  assert.equal(dns.questions.length, 2);
  await eventually(() => observed.states.includes(`${all[0]!.address} closed`));
});

test('closing during a look-up: no callback follows', async (t) => {
  const dns = await dnsServer(t, 'silent');
  const [fixed] = await teachers(t, {});
  const { teacher, observed } = await student(t, [fixed!.address, nameOf(dns, fixed!)]);
  await eventually(() => dns.questions.length > 0);
  await teacher.close();
  assert.deepEqual(observed.names, []);
  assert.equal(observed.states.at(-1), `${fixed!.address} closed`);
});

test('a certificate must match the DNS name, not the IP address, unless serverName is set', async (t) => {
  const folder = new SecurityFolder();
  t.after(() => folder.remove());
  const authority = new Authority();
  const pem = authority.issue({ names: [NAME] });
  const pair = { private_key: Buffer.from(pem.key), cert_chain: Buffer.from(pem.certificate) };
  const dns = await DnsServer.start({ [NAME]: [ip(1)], 'other.example': [ip(1)] });
  t.after(() => dns.close());
  const all = await onOnePort(t, { credentials: ServerCredentials.createSsl(null, [pair]) });
  const security = await openClientSecurity({
    tls: { ca: folder.write('ca.crt', authority.certificate), identity: null },
    token: null,
  });
  t.after(() => security.close());
  const credentials = () => security.credentials();
  const { teacher } = await student(t, [nameOf(dns, all[0]!)], { credentials });
  await askMany(teacher, 2);
  const other = `dns://${dns.address}/other.example:${all[0]!.port}`;
  await assert.rejects(
    student(t, [other], { credentials }),
    /no teacher fits .*TLS: wrong name: .*other\.example.*DNS:teachers\.example/,
  );
  const named = await student(t, [other], { credentials, serverName: NAME });
  await askMany(named.teacher, 2);
});
