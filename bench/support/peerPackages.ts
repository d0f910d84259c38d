/**
 * The packages that peers are made of, in Python. Each function gives the folder for PYTHONPATH and installs
 * it where it's missing.
 */
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TENSORFLOW_WHEELS } from '../../services/setup/pins.mjs';
import { ensurePython, ensureRequirements } from './pythonPackages.js';

/** gRPC's C core, for the peer of bench/transport. */
export function ensureGrpcio(say: (text: string) => void): Promise<string> {
  return ensurePython({ grpcio: '1.85.3' }, say);
}

/** The release whose libraries the set-up takes, with Keras and NumPy (1.8 GB). */
export function ensureTensorflow(say: (text: string) => void): Promise<string> {
  const { project, version } = TENSORFLOW_WHEELS.cpu;
  return ensurePython({ [project]: version }, say);
}

/**
 * PyPI's wheel for Linux is the one with CUDA (5 GB unpacked): on a machine without a GPU it computes with
 * the same kernels as the CPU's.
 */
export function ensureTorch(say: (text: string) => void): Promise<string> {
  return ensurePython({ torch: '2.15.0', numpy: '2.3.5' }, say);
}

/** torchvision and what it needs besides PyTorch: goes on PYTHONPATH behind `ensureTorch`'s folder. */
export function ensureTorchvision(say: (text: string) => void): Promise<string> {
  return ensurePython({ torchvision: '0.29.2', pillow: '12.0.0' }, say, { alone: true });
}

/**
 * mmsegmentation and what it needs besides PyTorch and torchvision, for PYTHONPATH. mmcv-lite is mmcv
 * without its compiled operators, which the networks of the zoo don't have.
 */
export async function ensureMmsegmentation(say: (text: string) => void): Promise<string[]> {
  const own = { mmsegmentation: '1.2.2', 'mmcv-lite': '2.1.0', mmengine: '0.10.7' };
  const required = {
    ...{ addict: '2.4.0', yapf: '0.43.0', platformdirs: '4.14.8', rich: '15.0.0' },
    ...{ termcolor: '3.3.0', packaging: '26.4', ftfy: '6.3.1', regex: '2026.11.19' },
    ...{ wcwidth: '0.9.4', pyyaml: '6.0.4', scipy: '1.17.1' },
    'opencv-python-headless': '5.0.0.93',
  };
  const alone = { alone: true };
  return [await ensurePython(own, say, alone), await ensurePython(required, say, alone)];
}

/** What torch.onnx.export needs besides PyTorch, for PYTHONPATH. */
export function ensureOnnxExporter(say: (text: string) => void): Promise<string> {
  const own = { onnx: '1.23.2', onnxscript: '0.7.2', 'onnx-ir': '1.1.0' };
  const required = { 'ml-dtypes': '0.6.0', protobuf: '7.36.2', packaging: '26.4' };
  return ensurePython({ ...own, ...required }, say, { alone: true });
}

/** Triton's own client, with what its gRPC part needs. */
export function ensureTritonclient(say: (text: string) => void): Promise<string> {
  return ensureRequirements('tritonclient', say);
}

/** KServe's client, which brings KServe's server and Kubernetes' client along (470 MB). */
export function ensureKserve(say: (text: string) => void): Promise<string> {
  return ensureRequirements('kserve', say);
}

/** MLServer with onnxruntime for its models (390 MB). */
export function ensureMlserver(say: (text: string) => void): Promise<string> {
  return ensureRequirements('mlserver', say);
}

/**
 * For models in Triton's Python backend. NumPy is 1.26: with NumPy 2 the backend of `ensureTriton`'s release
 * sends tensors of no bytes, and no error.
 */
export function ensureTritonModels(say: (text: string) => void): Promise<string> {
  return ensureRequirements('triton-model', say);
}

/** With these packages and what the peers share, and further folders of Python modules. */
export function peerEnvironment(torch: string, ...folders: readonly string[]): NodeJS.ProcessEnv {
  const shared = fileURLToPath(new URL('.', import.meta.url));
  const PYTHONPATH = [torch, shared, ...folders].join(delimiter);
  // Nothing is left behind in the source tree.
  return { ...process.env, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' };
}
