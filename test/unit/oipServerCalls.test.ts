/** The Open Inference Protocol's small calls: what a teacher says of itself and of its model. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import { INFERENCE_SERVICE_NAME } from '../../src/oip/codec/inferenceService.js';
import type { ModelConfigResponse } from '../../src/oip/generated/inference/ModelConfigResponse.js';
import type { ModelMetadataResponse } from '../../src/oip/generated/inference/ModelMetadataResponse.js';
import type { ModelStatisticsResponse } from '../../src/oip/generated/inference/ModelStatisticsResponse.js';
import type { RepositoryIndexResponse } from '../../src/oip/generated/inference/RepositoryIndexResponse.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { healthOf, listedServices } from '../support/connections/grpcProbes.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import { startOipServer } from '../support/oip/oipServer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
});

/** A call that is to succeed. */
async function told<Response>(
  peer: OipPeer,
  method: Parameters<OipPeer['call']>[0],
  request: object = {},
): Promise<Response> {
  const response = await peer.call<Response>(method, request);
  if (response instanceof Error) throw response;
  return response;
}

const model = { name: 'cirkd' };

test('while loading: live, not ready, health and models say so; then ready', async () => {
  const { server, port, requests } = await startOipServer(undefined);
  const peer = new OipPeer(port);
  const live = () => told<{ live: boolean }>(peer, 'ServerLive');
  const ready = () => told<{ ready: boolean }>(peer, 'ServerReady');
  const modelReady = () => told<{ ready: boolean }>(peer, 'ModelReady', model);
  const index = async (request: object = {}) =>
    (await told<RepositoryIndexResponse>(peer, 'RepositoryIndex', request)).models;
  assert.deepEqual([await live(), await ready()], [{ live: true }, { ready: false }]);
  assert.deepEqual(await modelReady(), { ready: false });
  assert.equal(await healthOf(port, INFERENCE_SERVICE_NAME), 'NOT_SERVING');
  assert.deepEqual(await index(), [{ name: 'cirkd', version: '1', state: 'LOADING', reason: '' }]);
  assert.deepEqual(await index({ ready: true }), []);
  for (const method of ['ModelMetadata', 'ModelConfig', 'ModelStatistics'] as const) {
    const { code, details } = (await peer.call(method, model)) as ServiceError;
    assert.equal(code, GrpcStatus.UNAVAILABLE, method);
    assert.match(details, /'cirkd' version 1 is not at ready state/);
  }
  const refused = (await peer.infer(inferRequest())) as ServiceError;
  assert.equal(refused.code, GrpcStatus.UNAVAILABLE);
  assert.equal(requests.at(-1), 'ModelInfer UNAVAILABLE');
  const stream = peer.stream();
  stream.send(inferRequest());
  assert.equal((await stream.status).code, GrpcStatus.UNAVAILABLE);

  server.serve(new GatedEngine(true));
  assert.deepEqual([await live(), await ready()], [{ live: true }, { ready: true }]);
  assert.deepEqual(await modelReady(), { ready: true });
  assert.equal(await healthOf(port, INFERENCE_SERVICE_NAME), 'SERVING');
  assert.equal((await index({ ready: true }))[0]?.state, 'READY');
});

test('the server: name, version, the extensions that exist; reflection lists the service', async () => {
  const { port, requests } = await startOipServer(new GatedEngine(true));
  const peer = new OipPeer(port);
  assert.deepEqual(await told(peer, 'ServerMetadata'), {
    name: 'cirkd',
    version: '1.2.3',
    extensions: ['model_configuration', 'statistics'],
  });
  assert.ok((await listedServices(port)).includes(INFERENCE_SERVICE_NAME));
  assert.deepEqual(requests, ['ServerMetadata OK']);
});

test('the model: inputs and outputs with shapes, with and without a feature', async () => {
  const { port } = await startOipServer(new GatedEngine(true));
  const metadata = await told<ModelMetadataResponse>(new OipPeer(port), 'ModelMetadata', {
    ...model,
    version: '1',
  });
  assert.deepEqual(metadata, {
    name: 'cirkd',
    versions: ['1'],
    platform: 'cirkd',
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] }],
    outputs: [
      { name: 'logits', datatype: 'FP32', shape: [-1, -1, -1, 3] },
      { name: 'embedding', datatype: 'FP32', shape: [-1, -1, -1, 8] },
      { name: 'feature_norm', datatype: 'FP32', shape: [-1, -1, -1] },
      { name: 'feature', datatype: 'FP32', shape: [-1, -1, -1, 8] },
      { name: 'logits_fp16', datatype: 'FP16', shape: [-1, -1, -1, 3] },
      { name: 'embedding_fp16', datatype: 'FP16', shape: [-1, -1, -1, 8] },
      { name: 'feature_fp16', datatype: 'FP16', shape: [-1, -1, -1, 8] },
    ],
  });
  const plain = await startOipServer(new GatedEngine(true, 0), { encodings: ['fp32'] });
  const { outputs } = await told<ModelMetadataResponse>(
    new OipPeer(plain.port),
    'ModelMetadata',
    model,
  );
  assert.deepEqual(
    outputs.map(({ name }) => name),
    ['logits'],
  );
});

test('the configuration: batch dimension, dims without it, the contract as parameters', async () => {
  const engine = new GatedEngine(true);
  const { port } = await startOipServer(engine, { batch: { maxImages: 4, maxDelayMs: 2.5 } });
  const { config } = await told<ModelConfigResponse>(new OipPeer(port), 'ModelConfig', model);
  assert.ok(config !== null, 'no config came');
  assert.deepEqual(
    [config.name, config.platform, config.backend, config.maxBatchSize],
    ['cirkd', 'cirkd', 'cirkd', 16],
  );
  assert.deepEqual(config.input, [
    { name: 'image', dataType: 'TYPE_UINT8', format: 'FORMAT_NHWC', dims: [-1, -1, 3] },
  ]);
  assert.deepEqual(config.output[0], {
    name: 'logits',
    dataType: 'TYPE_FP32',
    dims: [-1, -1, 3],
  });
  assert.deepEqual(config.output[2]?.dims, [-1, -1]);
  assert.equal(config.dynamicBatching?.maxQueueDelayMicroseconds, 2500);
  assert.equal(config.modelTransactionPolicy?.decoupled, false);
  const parameters = Object.fromEntries(
    Object.entries(config.parameters).map(([key, { stringValue }]) => [
      key,
      JSON.parse(stringValue),
    ]),
  );
  const { info } = engine;
  assert.deepEqual(parameters, {
    'cirkd.model': info.model,
    'cirkd.digest': info.digest,
    'cirkd.pixel_mean': [...info.pixelMean],
    'cirkd.pixel_std': [...info.pixelStd],
    'cirkd.channel_order': info.channelOrder,
    'cirkd.output_stride': 8,
    'cirkd.align_corners': info.alignCorners,
    'cirkd.class_names': [...info.classNames],
    'cirkd.numeric_mode': info.numericMode,
  });
});

test("another model or version is answered with Triton's codes and words", async () => {
  const { port } = await startOipServer(new GatedEngine(true));
  const peer = new OipPeer(port);
  const failed = async (method: Parameters<OipPeer['call']>[0], name: string, version: string) => {
    const answer = await peer.call<object>(method, { name, version });
    if (!(answer instanceof Error)) return answer;
    const { code, details } = answer as ServiceError;
    return [code, details];
  };
  for (const method of ['ModelMetadata', 'ModelConfig'] as const) {
    assert.deepEqual(await failed(method, 'resnet', ''), [
      GrpcStatus.NOT_FOUND,
      "Request for unknown model: 'resnet' is not found",
    ]);
    assert.deepEqual(await failed(method, 'cirkd', '7'), [
      GrpcStatus.NOT_FOUND,
      "Request for unknown model: 'cirkd' version 7 is not found",
    ]);
  }
  assert.deepEqual(await failed('ModelReady', 'resnet', ''), { ready: false });
  assert.deepEqual(await failed('ModelReady', 'cirkd', '7'), { ready: false });
  assert.deepEqual(await failed('ModelStatistics', 'resnet', ''), [
    GrpcStatus.INVALID_ARGUMENT,
    "requested model 'resnet' is not available",
  ]);
  assert.deepEqual(await failed('ModelStatistics', 'cirkd', '7'), [
    GrpcStatus.INVALID_ARGUMENT,
    "requested model version is not available for model 'cirkd'",
  ]);
  for (const method of ['ModelReady', 'ModelMetadata', 'ModelConfig', 'ModelStatistics'] as const) {
    const [code, details] = (await failed(method, 'cirkd', 'newest')) as [number, string];
    assert.equal(code, GrpcStatus.INVALID_ARGUMENT);
    assert.match(details, /specified version string 'newest'/);
  }
});

test('statistics: counts and durations of what was asked', async () => {
  const engine = new GatedEngine(true);
  const { port } = await startOipServer(engine, { batch: { maxImages: 4, maxDelayMs: 0 } });
  const peer = new OipPeer(port);
  const statistics = async () => {
    const { modelStats } = await told<ModelStatisticsResponse>(peer, 'ModelStatistics');
    return modelStats[0]!;
  };
  assert.equal((await statistics()).inferenceStats?.success?.count, 0);
  const before = Date.now();
  await peer.answer(inferRequest({ shades: [1, 2, 3] }));
  await peer.answer(inferRequest({ shades: [4] }));
  const failed = await peer.infer(inferRequest({ outputs: ['nothing'] }));
  assert.ok(failed instanceof Error, 'it was answered');
  const { inferenceStats, batchStats, ...figures } = await statistics();
  assert.deepEqual(
    [figures.name, figures.version, figures.inferenceCount, figures.executionCount],
    ['cirkd', '1', 4, 2],
  );
  assert.ok(figures.lastInference >= before, `last inference ${figures.lastInference}`);
  const { success, fail, queue, computeInput, computeInfer, computeOutput } = inferenceStats!;
  assert.deepEqual(
    [success, fail, queue, computeInput, computeInfer, computeOutput].map((one) => one?.count),
    [2, 1, 2, 2, 2, 2],
  );
  const ns = [queue, computeInput, computeInfer, computeOutput].map((one) => one?.ns ?? 0);
  assert.ok(
    ns.every((one) => one > 0),
    `${ns}`,
  );
  const sum = ns.reduce((a, b) => a + b);
  assert.ok(Math.abs(sum - success!.ns) < 1e4, `${sum} ns in parts, ${success!.ns} in all`);
  assert.deepEqual(
    batchStats.map(({ batchSize, computeInfer: pass }) => [batchSize, pass?.count]),
    [
      [1, 1],
      [3, 1],
    ],
  );
});

test('a call beyond its size is refused before it is decoded', async () => {
  const { port, requests } = await startOipServer(new GatedEngine(true), {
    limits: { maxMessageBytes: 200_000 },
  });
  const { code, details } = (await new OipPeer(port).call('ModelReady', {
    name: 'x'.repeat(70_000),
  })) as ServiceError;
  assert.equal(code, GrpcStatus.INVALID_ARGUMENT);
  assert.match(details, /not a ModelReadyRequest .*70004 bytes .* at most 65536/);
  assert.deepEqual(requests, ['ModelReady INVALID_ARGUMENT']);
});
