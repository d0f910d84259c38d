/** What a student makes of teachers that it can't trust or can't talk to. */
import assert from 'node:assert/strict';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { after, describe, type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { ServerCredentials } from '@grpc/grpc-js';
import { ContractMismatchError, TeacherUnavailableError } from '../../src/contract/teacher.js';
import { type ClientSecurity, openClientSecurity } from '../../src/rpc/security/clientSecurity.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';
import { Authority, type Pem } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { serialOf } from '../support/connections/rawCalls.js';
import { eventually } from '../support/eventually.js';
import { assertAnswers, imageOf, studentOptions } from '../support/students/scriptedStudent.js';
import { student, teachers } from '../support/teachers/scriptedFleet.js';

const HOUR_MS = 3_600_000;
const folder = new SecurityFolder();
const authority = new Authority();
const ca = folder.write('ca.crt', authority.certificate);
const opened: ClientSecurity[] = [];
after(() => {
  for (const security of opened) security.close();
  folder.remove();
});

/** A teacher that shows `pem`, seen at localhost. */
async function secureTeacher(t: TestContext, pem: Pem): Promise<string> {
  const pair = { private_key: Buffer.from(pem.key), cert_chain: Buffer.from(pem.certificate) };
  const [teacher] = await teachers(t, { credentials: ServerCredentials.createSsl(null, [pair]) });
  return `localhost:${teacher!.port}`;
}

async function trusting(file = ca): Promise<Partial<ClientOptions>> {
  const security = await openClientSecurity({ tls: { ca: file, identity: null }, token: null });
  opened.push(security);
  return { credentials: () => security.credentials() };
}

async function refusal(t: TestContext, pem: Pem, options: Partial<ClientOptions>) {
  const address = await secureTeacher(t, pem);
  const error = await student(t, [address], options).then(
    () => assert.fail('connected'),
    (reason: Error) => reason,
  );
  // At once: the time without a teacher isn't over yet.
  assert.ok(error instanceof ContractMismatchError, String(error));
  return error.message.replaceAll(address, 'ADDRESS');
}

test('a teacher with a certificate of the right authority and name is accepted', async (t) => {
  const address = await secureTeacher(t, authority.issue());
  const { teacher } = await student(t, [address], await trusting());
  assertAnswers(await teacher.request(imageOf(1)), imageOf(1));
});

test('an unknown authority, an expired or not yet valid certificate, another name: refused at once, with the reason', async (t) => {
  const trusted = await trusting();
  const cases: [Pem, RegExp][] = [
    [
      new Authority('stranger').issue(),
      /TLS: its certificate is not signed by a trusted authority/,
    ],
    [authority.issue({ notAfter: new Date(Date.now() - 1000) }), /TLS: its .* has expired/],
    [authority.issue({ notBefore: new Date(Date.now() + HOUR_MS) }), /TLS: its .* not yet valid/],
    [authority.issue({ names: ['a.example'] }), /TLS: wrong name: .*localhost.*DNS:a\.example/],
  ];
  for (const [pem, message] of cases) {
    const text = await refusal(t, pem, trusted);
    assert.match(text, /^no teacher fits this student: ADDRESS \(teacher ADDRESS is not connected/);
    assert.match(text, message);
  }
});

test('serverName replaces the host of the address in the certificate check', async (t) => {
  const pem = authority.issue({ names: ['teachers.example'] });
  const options = { ...(await trusting()), serverName: 'teachers.example' };
  const address = await secureTeacher(t, pem);
  const byNumber = address.replace('localhost', '127.0.0.1');
  const { teacher } = await student(t, [byNumber], options);
  assertAnswers(await teacher.request(imageOf(2)), imageOf(2));
  const elsewhere = { ...options, serverName: 'elsewhere.example' };
  assert.match(await refusal(t, pem, elsewhere), /wrong name: .*elsewhere\.example/);
});

test('TLS to a plaintext port: refused at once; plaintext to a TLS port: no teacher', async (t) => {
  const [plain] = await teachers(t, {});
  await assert.rejects(
    student(t, [`localhost:${plain!.port}`], await trusting()),
    (error: Error) => {
      assert.ok(error instanceof ContractMismatchError, String(error));
      return /TLS: its port does not accept TLS/.test(error.message);
    },
  );
  const address = await secureTeacher(t, authority.issue());
  await assert.rejects(student(t, [address], { teacherTimeoutMs: 2000 }), (error: Error) => {
    assert.ok(error instanceof TeacherUnavailableError, String(error));
    return /closed the connection before HTTP\/2 began: does it require TLS/.test(error.message);
  });
});

test('a refused teacher does not disturb the others, and is tried again', async (t) => {
  const good = await secureTeacher(t, authority.issue());
  const stranger = await secureTeacher(t, new Authority('stranger').issue());
  const { teacher, observed } = await student(t, [stranger, good], await trusting());
  for (let i = 0; i < 4; i++) assertAnswers(await teacher.request(imageOf(i)), imageOf(i));
  await eventually(() => {
    const tries = observed.states.filter((state) => state === `${stranger} refused`);
    return tries.length >= 2;
  });
  assert.deepEqual(observed.requeued, []);
});

test('an authority added to the file is trusted at the next attempt', async (t) => {
  const stranger = new Authority('stranger');
  const file = folder.write('changing.crt', stranger.certificate);
  const security = await openClientSecurity({
    tls: { ca: file, identity: null },
    token: null,
    reloadEveryMs: 5,
  });
  opened.push(security);
  const credentials = () => security.credentials();
  const [first, second] = [
    await secureTeacher(t, stranger.issue()),
    await secureTeacher(t, authority.issue()),
  ];
  const { observed } = await student(t, [first, second], { credentials });
  await eventually(() => observed.states.includes(`${second} refused`));
  folder.write('changing.crt', stranger.certificate + authority.certificate);
  await eventually(() => observed.states.includes(`${second} ready`));
  // The stream that was there isn't touched.
  assert.deepEqual(
    observed.states.filter((state) => state.startsWith(first)),
    [`${first} connecting`, `${first} ready`],
  );
});

test('with an IP address, the certificate must name that address', async (t) => {
  const trusted = await trusting();
  const address = async (names: string[]) =>
    (await secureTeacher(t, authority.issue({ names }))).replace('localhost', '127.0.0.1');
  const { teacher } = await student(t, [await address(['a.example', '127.0.0.1'])], trusted);
  assertAnswers(await teacher.request(imageOf(3)), imageOf(3));
  const elsewhere = student(t, [await address(['127.0.0.1.example', 'localhost'])], trusted);
  await assert.rejects(elsewhere, /TLS: wrong name: .*127\.0\.0\.1/);
});

/** Tries `server`, which says nothing of HTTP/2, until the time without a teacher is over. */
async function tryInVain(t: TestContext, server: TcpServer, options: Partial<ClientOptions>) {
  let connections = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const times = { requestTimeoutMs: 40, teacherTimeoutMs: 2000 };
  const trying = student(t, [`localhost:${port}`], { ...options, ...times });
  await assert.rejects(trying, /no welcome within 40 ms/);
  assert.ok(connections >= 3, `${connections} connections`);
  const open = promisify(server.getConnections.bind(server));
  await eventually(async () => (await open()) === 0);
}

// What the client says is read, so that its end is seen.
const listenOnly = (socket: Socket) => void socket.resume().on('error', () => {});

// They wait for times to pass: together they take no longer than the longest.
describe('teachers that hang', { concurrency: true }, () => {
  test('a teacher that hangs in the TLS handshake leaves no sockets behind', async (t) => {
    await tryInVain(t, createTcpServer(listenOnly), await trusting());
  });

  test('a teacher that hangs before HTTP/2 begins leaves no sockets behind', async (t) => {
    await tryInVain(t, createTcpServer(listenOnly), {});
  });

  test('nor with credentials without TLS', async (t) => {
    const plain = await openClientSecurity({ tls: null, token: null });
    await tryInVain(t, createTcpServer(listenOnly), { credentials: () => plain.credentials() });
  });

  test('nor after a TLS handshake', async (t) => {
    const secure = createTlsServer({ ...serverPair(authority.issue()), ALPNProtocols: ['h2'] });
    let handshakes = 0;
    secure.on('secureConnection', (socket) => {
      handshakes++;
      listenOnly(socket);
    });
    await tryInVain(t, secure, await trusting());
    assert.ok(handshakes > 0);
  });
});

test('a replaced client certificate is used for the next connection', async (t) => {
  const shown: string[] = [];
  const server = createTlsServer({
    ...{ requestCert: true, rejectUnauthorized: false },
    ...serverPair(authority.issue()),
    ALPNProtocols: ['h2'],
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {}).end();
    shown.push(socket.getPeerCertificate().serialNumber);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const [before, next] = [authority.issue(), authority.issue()];
  const identity = folder.writePair('own', before);
  const security = await openClientSecurity({
    ...{ tls: { ca, identity }, token: null },
    reloadEveryMs: 6,
  });
  opened.push(security);
  const { port } = server.address() as AddressInfo;
  const options = { credentials: () => security.credentials(), teacherTimeoutMs: 20_000 };
  const ended = new AbortController();
  const tries = connectTeachers(
    studentOptions([`localhost:${port}`], options).options,
    ended.signal,
  );
  await eventually(() => shown.length > 0);
  assert.deepEqual([...new Set(shown)], [serialOf(before)]);
  folder.writePair('own', next);
  await eventually(() => shown.at(-1) === serialOf(next));
  ended.abort(new Error('seen'));
  await assert.rejects(tries, /seen/);
});

function serverPair({ certificate, key }: Pem) {
  return { cert: certificate, key };
}
