/** A teacher's digest: equal digests mean equal answers, on one kind of processor. */
import { createHash, type Hash } from 'node:crypto';
import type { ModelDescription } from '../files/modelFile.js';
import type { WeightsFile } from '../files/storedWeights.js';
import type { SegmentationNetwork } from '../network.js';

interface DigestOptions {
  readonly numericMode: string;
  /** Where the network's weights are stored: then no copy of them is made on the host. The digest is the same. */
  readonly file: WeightsFile | undefined;
}

/** sha256 of architecture, weights, normalisation of pixels and numeric mode, as `sha256:<hex>`. */
export function digestOf(
  network: SegmentationNetwork,
  { spec, normalisation }: ModelDescription,
  { numericMode, file }: DigestOptions,
): string {
  const { pixelMean, pixelStd, channelOrder } = normalisation;
  const hash = createHash('sha256');
  const { model, backbone, variant, numClasses, widthMultiplier } = spec;
  // auxHead needs no entry: without the head its weights are absent from the state dict below.
  const corners = spec.alignCorners === undefined ? [] : [spec.alignCorners];
  const architecture = [model, backbone, variant, numClasses, widthMultiplier, ...corners];
  const pixels = [pixelMean, pixelStd, channelOrder];
  hash.update(JSON.stringify([architecture, pixels, numericMode]));
  if (file === undefined) hashWeights(hash, network);
  else hashStoredWeights(hash, network, file);
  return `sha256:${hash.digest('hex')}`;
}

function hashWeights(hash: Hash, network: SegmentationNetwork): void {
  for (const [name, { dtype, shape, data }] of network.exported()) {
    hash.update(JSON.stringify([name, dtype, shape]));
    hash.update(data);
  }
}

function hashStoredWeights(hash: Hash, network: SegmentationNetwork, file: WeightsFile): void {
  for (const { name, kind, shape } of network.state.entries) {
    const isCount = kind === 'counter';
    hash.update(JSON.stringify([name, isCount ? 'I64' : 'F32', shape]));
    if (isCount) hash.update(file.small(name).data);
    else for (const piece of file.float32Pieces(name)) hash.update(piece);
  }
}
