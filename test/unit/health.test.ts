/** grpc.health.v1, which anybody may ask on a port without TLS. */
// @own-process: sets a flag of V8 and measures the process' memory
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { Health } from '../../src/rpc/health.js';
import { RpcServer } from '../../src/rpc/server.js';
import { HealthClient, healthOf } from '../support/connections/grpcProbes.js';
import { eventually } from '../support/eventually.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function serve() {
  const server = new RpcServer({ host: '127.0.0.1', port: 0, maxReceiveBytes: 20_000 });
  const health = new Health(['a.Service']);
  health.addTo(server);
  const port = await server.bind();
  ends.push(() => server.shutdown(0));
  const client = new HealthClient(port);
  ends.push(() => client.close());
  return { health, port, client };
}

test('check: the server and its services have one status; an unknown name is NOT_FOUND', async () => {
  const { health, port } = await serve();
  const both = () => Promise.all([healthOf(port, ''), healthOf(port, 'a.Service')]);
  assert.deepEqual(await both(), ['NOT_SERVING', 'NOT_SERVING']);
  health.setServing(true);
  assert.deepEqual(await both(), ['SERVING', 'SERVING']);
  assert.equal(await healthOf(port, 'another.Service'), GrpcStatus.NOT_FOUND);
});

test('watch: the status and each change are sent; an unknown name is SERVICE_UNKNOWN and stays open', async () => {
  const { health, client } = await serve();
  const known = client.watch('a.Service');
  const unknown = client.watch('another.Service');
  await eventually(() => known.seen.length === 1 && unknown.seen.length === 1);
  health.setServing(true);
  health.setServing(true);
  health.setServing(false);
  await eventually(() => known.seen.length === 3);
  assert.deepEqual(known.seen, ['NOT_SERVING', 'SERVING', 'NOT_SERVING']);
  assert.deepEqual([unknown.seen, unknown.ended], [['SERVICE_UNKNOWN'], false]);
});

test('unknown names that clients watch are not kept', async () => {
  const { client } = await serve();
  const watchAll = async (round: number) => {
    // Both rounds below a thousand: then Node.js takes a client that cancels for an attacker.
    for (let i = 0; i < 400; i += 50) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, k) => {
          const watch = client.watch(`${round} ${i + k} ${'x'.repeat(16_000)}`);
          await eventually(() => watch.seen.length === 1);
          watch.cancel();
        }),
      );
    }
  };
  await watchAll(0);
  const before = heapBytes();
  await watchAll(1);
  const grown = heapBytes() - before;
  // 400 names are 6.4 MB.
  assert.ok(grown < 3e6, `${grown} bytes`);
});

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
