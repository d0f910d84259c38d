/**
 * Weights of a backbone that has learnt to classify: files as torchvision publishes them for
 * ImageNet, and those with the deep stem that CIRKD's students begin from.
 */
import { CheckpointError } from '../wire/checkpointError.js';
import type { NamedTensor, NamedTensors } from '../wire/safetensors.js';
import type { SegmentationNetwork } from './network.js';
import { type StemName, stemOfWeights, withOtherStem } from './resnetStem.js';
import { stemOf } from './zoo.js';

/** More names than any backbone has. */
const MOST_LISTED = 1000;
const BACKBONE = 'pretrained.';
const ZERO: NamedTensor = { dtype: 'I64', shape: [], data: new Uint8Array(8) };

/** What a network puts before the file's names, and the file's layers that the backbone hasn't. */
const RESNET = { prefix: BACKBONE, rest: /^fc\./ };
/** The last 1x1 convolution is features.18 in torchvision, conv elsewhere. */
const MOBILENET = { prefix: `${BACKBONE}net.`, rest: /^(classifier|features\.18|conv)\./ };

/**
 * Takes over all weights and running statistics of the backbone; the rest of the network stays.
 * `tensors` have torchvision's names, or those of the flat MobileNetV2 that CIRKD's code has; their
 * classifier is left out. Batch counts may be missing, as in older files, and are 0 then.
 * Throws CheckpointError, before anything is changed, where the weights aren't exactly those of the
 * backbone: a ResNet's with the other stem, or with names and shapes that don't fit, all listed.
 */
export function loadBackboneWeights(network: SegmentationNetwork, tensors: NamedTensors): void {
  const { backbone } = network.spec;
  const stem = stemOf(backbone);
  const { prefix, rest } = stem === null ? MOBILENET : RESNET;
  if ([...tensors.keys()].some((name) => name.startsWith(BACKBONE))) {
    throw new CheckpointError(
      `weights: names begin with '${BACKBONE}': a whole network's, not a backbone's`,
    );
  }
  if (stem !== null) checkStem(tensors, backbone, stem);
  const own = new Map([...tensors].filter(([name]) => !rest.test(name)));
  const named = isNested(own) ? withFlatNames(own) : own;
  for (const entry of network.state.entries) {
    const name = entry.name.slice(prefix.length);
    const isOfBackbone = entry.kind === 'counter' && entry.name.startsWith(prefix);
    if (isOfBackbone && !named.has(name)) named.set(name, ZERO);
  }
  network.loadStateDict(named, { strict: true, listed: MOST_LISTED, under: prefix });
}

function checkStem(tensors: NamedTensors, backbone: string, stem: StemName): void {
  const conv1 = tensors.get('conv1.weight');
  if (conv1 === undefined || stemOfWeights(conv1) === stem) return;
  throw new CheckpointError(
    `weights: conv1.weight [${conv1.shape}] is of the stem of ${withOtherStem(backbone)}, ` +
      `the network's backbone is ${backbone}`,
  );
}

/** Whether a MobileNetV2 has torchvision's names: convolution, norm, activation in modules of their own. */
function isNested(tensors: NamedTensors): boolean {
  return [...tensors.keys()].some((name) => /^features\.\d+\.conv\.\d\.\d\./.test(name));
}

function withFlatNames(tensors: NamedTensors): Map<string, NamedTensor> {
  return new Map([...tensors].map(([name, tensor]) => [flatName(name), tensor]));
}

/**
 * A block of torchvision's has two such modules, the first block of all has one, and then a bare
 * convolution and norm: conv.1.0 and conv.2 are conv.3 and conv.6 where all lies in one row.
 */
function flatName(name: string): string {
  const nested = /^(features\.\d+\.conv)\.(\d)\.(\d)\.(.*)$/.exec(name);
  if (nested !== null) {
    const [, block, module, layer, rest] = nested;
    return `${block}.${3 * Number(module) + Number(layer)}.${rest}`;
  }
  const bare = /^(features\.(\d+)\.conv)\.(\d)\.(.*)$/.exec(name);
  if (bare === null) return name;
  const [, block, number, layer, rest] = bare;
  return `${block}.${Number(layer) + (number === '1' ? 2 : 4)}.${rest}`;
}
