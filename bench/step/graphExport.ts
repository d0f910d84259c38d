/** A teacher's weights as a graph: PyTorch exports torchvision's network to ONNX. */
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram, tail } from '../../services/setup/subprocess.mjs';
import { ensureOnnxExporter, ensureTorchvision } from '../support/peerPackages.js';

export const GRAPH_FILE = 'teacher.onnx';

const EXPORT = fileURLToPath(new URL('graphExport.py', import.meta.url));

/** @param folder where this project's side wrote the weights @param torch folder of PyTorch's packages */
export async function exportGraph(
  folder: string,
  classes: number,
  torch: string,
  say: (text: string) => void,
): Promise<void> {
  const packages = [torch, await ensureTorchvision(say), await ensureOnnxExporter(say)];
  const PYTHONPATH = packages.join(delimiter);
  const env = { ...process.env, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' };
  const { code, output } = await runProgram('python3', [EXPORT, folder, String(classes)], { env });
  if (code !== 0) throw new Error(`the export failed:\n${tail(output)}`);
}
