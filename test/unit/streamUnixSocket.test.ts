/** Students of a teacher that listens on a Unix socket: streams, health, certificates and tokens. */
import assert from 'node:assert/strict';
import { after, afterEach, test, type TestContext } from 'node:test';
import { openClientSecurity } from '../../src/rpc/security/clientSecurity.js';
import { openServerSecurity } from '../../src/rpc/security/serverSecurity.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { Authority } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { imageOf } from '../support/students/scriptedStudent.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { student } from '../support/teachers/scriptedFleet.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

const TOKEN = 'a-token-of-some-length';
const folder = new SecurityFolder();
const authority = new Authority();
const ca = folder.write('ca.crt', authority.certificate);
const token = folder.write('token', TOKEN);
const opened: { close(): void }[] = [];
let sockets = 0;
afterEach(async () => {
  await closeTestServers();
  for (const one of opened.splice(0)) one.close();
});
after(() => folder.remove());

async function serve(names: readonly string[] | null) {
  const address = `unix:${folder.path}/${++sockets}.sock`;
  const peers: unknown[] = [];
  const refused: string[] = [];
  const security =
    names === null
      ? null
      : await openServerSecurity({
          tls: {
            ...folder.writePair(`teacher-${sockets}`, authority.issue({ names })),
            clientCa: ca,
          },
          tokens: token,
          onRefused: ({ peer }) => refused.push(peer),
        });
  if (security !== null) opened.push(security);
  const hooks = {
    onEvent: (_level: string, _message: string, fields: object) => peers.push(fields),
  };
  const socket = { address, mode: 0o600 };
  const batch = { maxImages: 1, maxDelayMs: 0 };
  const { port } = await startTestServer(new GatedEngine(true), {}, batch, hooks, {
    ...(security ?? {}),
    socket,
  });
  return { address, port, peers, refused };
}

async function join(t: TestContext, address: string, changes: Partial<ClientOptions> = {}) {
  const identity = folder.writePair('student', authority.issue());
  const security = await openClientSecurity({ tls: { ca, identity }, token });
  opened.push(security);
  const credentials = () => security.credentials();
  return student(t, [address], { credentials, ...changes });
}

test('images are answered; the log names the stream by socket and connection', async (t) => {
  const { address, port, peers } = await serve(null);
  const { teacher } = await student(t, [address]);
  const answer = await teacher.request(imageOf(1));
  const overTcp = await student(t, [`127.0.0.1:${port}`]);
  assert.deepEqual(answer, await overTcp.teacher.request(imageOf(1)));
  assert.notDeepEqual(answer, await overTcp.teacher.request(imageOf(2)));
  assert.match(JSON.stringify(peers), new RegExp(`"peer":"${address}#1"`));
});

test('mutual TLS and a token: the certificate is for localhost, as gRPC has it', async (t) => {
  const { address, peers } = await serve(['localhost']);
  const { teacher } = await join(t, address);
  await teacher.request(imageOf(2));
  assert.match(JSON.stringify(peers), new RegExp(`"peer":"${address}#1"`));
});

test('a certificate for another name: refused, taken with serverName', async (t) => {
  const { address } = await serve(['teachers.example']);
  await assert.rejects(join(t, address), /TLS: wrong name: .*teachers\.example/);
  const { teacher } = await join(t, address, { serverName: 'teachers.example' });
  await teacher.request(imageOf(3));
});

test('TLS and no token: refused, and the log says which connection', async (t) => {
  const { address, refused } = await serve(['localhost']);
  const identity = folder.writePair('tokenless', authority.issue());
  const security = await openClientSecurity({ tls: { ca, identity }, token: null });
  opened.push(security);
  const credentials = () => security.credentials();
  await assert.rejects(student(t, [address], { credentials }), /no bearer token given/);
  assert.deepEqual(refused, [`${address}#1`]);
});
