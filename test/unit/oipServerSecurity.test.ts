/** Certificates and tokens apply to the Open Inference Protocol as to all else on the port. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { openServerSecurity } from '../../src/rpc/security/serverSecurity.js';
import { Authority } from '../support/certificates/authority.js';
import { SecurityFolder } from '../support/certificates/folder.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import { startOipServer } from '../support/oip/oipServer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

const TOKEN = 'a-token-of-some-length';
const folder = new SecurityFolder();
const servers = new Authority('servers');
const clients = new Authority('clients');
const clientCa = folder.write('clients.crt', clients.certificate);
const tokens = folder.write('tokens', TOKEN);
const opened: { close(): void }[] = [];

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
  for (const one of opened.splice(0)) one.close();
});
after(() => folder.remove());

test('calls without certificate or token are refused unread; with both all is answered', async () => {
  const security = await openServerSecurity({
    tls: { ...folder.writePair('server', servers.issue()), clientCa },
    tokens,
  });
  opened.push(security);
  const engine = new GatedEngine(true);
  const { port, requests } = await startOipServer(engine, { server: security });
  const { key, certificate } = folder.writePair('client', clients.issue());
  const [keyPem, certificatePem] = [key, certificate].map(({ path }) => readFileSync(path));
  const ca = Buffer.from(servers.certificate);
  const known = credentials.createSsl(ca, keyPem, certificatePem);
  const code = async (peer: OipPeer, token?: string) => {
    const metadata: Record<string, string> =
      token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await peer.infer(inferRequest(), { metadata });
    const stream = peer.stream({ metadata });
    stream.send(inferRequest());
    stream.halfClose();
    const { code: streamCode } = await stream.status;
    assert.equal(answer instanceof Error ? answer.code : GrpcStatus.OK, streamCode);
    return streamCode;
  };
  assert.equal(await code(new OipPeer(port, known)), GrpcStatus.UNAUTHENTICATED);
  assert.equal(
    await code(new OipPeer(port, known), 'another-token-of-some-length'),
    GrpcStatus.UNAUTHENTICATED,
  );
  const nameless = new OipPeer(port, credentials.createSsl(ca));
  assert.equal(await code(nameless, TOKEN), GrpcStatus.UNAUTHENTICATED);
  assert.deepEqual([requests, engine.batches], [[], []]);
  assert.equal(await code(new OipPeer(port, known), TOKEN), GrpcStatus.OK);
  assert.deepEqual(requests.toSorted(), ['ModelInfer OK', 'ModelStreamInfer OK']);
});
