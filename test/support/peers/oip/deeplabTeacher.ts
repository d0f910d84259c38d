/** One small DeepLab in two forms: a model file for our own teacher, and the graph that PyTorch made of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { STREET_CLASSES } from '../../../../src/data/streets/classes.js';
import { exportModel } from '../../../../src/models/files/exportModel.js';
import { writeUntrainedModel } from '../../modelFiles/untrainedModel.js';
import { exporterPeer } from '../torchPeer.js';
import type { Datatype, OnnxModel, TorchModel } from './servedModel.js';

const EXPORT = fileURLToPath(new URL('deeplabExport.py', import.meta.url));
const WIDTH = 0.125;

export interface DeeplabTeacher {
  /** For `cirkd teacher --checkpoint`. */
  readonly modelFile: string;
  /** Input `image` [n, 3, h, w], normalised; outputs `logits` and `feature`. */
  readonly onnx: string;
  /** The weights for PyTorch. */
  readonly state: string;
  readonly classes: number;
  readonly channels: number;
}

/** Of the synthetic streets' classes; ImageNet's normalisation, stride 8. */
export async function writeDeeplabTeacher(folder: string): Promise<DeeplabTeacher> {
  const modelFile = join(folder, 'teacher.safetensors');
  const [state, onnx] = [join(folder, 'teacher.pth'), join(folder, 'teacher.onnx')];
  writeUntrainedModel(modelFile, WIDTH);
  writeFileSync(state, exportModel(readFileSync(modelFile)).bytes);
  const classes = STREET_CLASSES.length;
  const args = [state, onnx, String(classes), String(WIDTH)];
  const { channels } = await exporterPeer<{ channels: number }>(EXPORT, ...args);
  return { modelFile, onnx, state, classes, channels };
}

/** As the peers serve it. @param datatype of the input and the outputs */
export function servedDeeplab(
  { onnx, classes, channels }: DeeplabTeacher,
  { name = 'deeplab', datatype = 'FP32' as Datatype } = {},
): OnnxModel {
  return { name, onnx, ...tensorsOf(classes, channels, datatype) };
}

/** As Triton serves it with PyTorch, in bfloat16 throughout. */
export function torchDeeplab(
  { state, classes, channels }: DeeplabTeacher,
  { name = 'deeplab' } = {},
): TorchModel {
  return { name, state, network: networkOf(classes), ...tensorsOf(classes, channels, 'BF16') };
}

/** Keyword arguments of networks.build for this network. */
export function networkOf(num_classes: number) {
  const kind = { model: 'deeplab_mobile', backbone: 'mobilenetv2', variant: 'v1' };
  return { ...kind, num_classes, width: WIDTH };
}

function tensorsOf(classes: number, channels: number, datatype: Datatype) {
  return {
    inputs: [{ name: 'image', datatype, shape: [-1, 3, -1, -1] }],
    outputs: [
      { name: 'logits', datatype, shape: [-1, classes, -1, -1] },
      { name: 'feature', datatype, shape: [-1, channels, -1, -1] },
    ],
  };
}
