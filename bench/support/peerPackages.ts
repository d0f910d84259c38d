/**
 * The packages that peers are made of, in Python. Each function gives the folder for PYTHONPATH and installs
 * it where it's missing.
 */
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePython, ensureRequirements } from './pythonPackages.js';

/** gRPC's C core, for the peer of bench/transport. */
export function ensureGrpcio(say: (text: string) => void): Promise<string> {
  return ensurePython({ grpcio: '1.85.3' }, say);
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

/** For a Python that has these folders of modules. */
export function pythonEnvironment(...folders: readonly string[]): NodeJS.ProcessEnv {
  // Nothing is left behind in the source tree.
  return { ...process.env, PYTHONPATH: folders.join(delimiter), PYTHONDONTWRITEBYTECODE: '1' };
}

/** The same with PyTorch and what its peers share; without a GPU. */
export function peerEnvironment(torch: string, ...folders: readonly string[]): NodeJS.ProcessEnv {
  const shared = fileURLToPath(new URL('.', import.meta.url));
  return { ...pythonEnvironment(torch, shared, ...folders), CUDA_VISIBLE_DEVICES: '' };
}
