/** Loads a published backbone's weights into a network. */
import { CheckpointError } from '../../wire/checkpointError.js';
import type { NamedTensors } from '../../wire/safetensors.js';
import { convertMit, mitFormOf } from '../backbones/mit/mitNames.js';
import { MIT_FORMS } from '../backbones/mit/mitForm.js';
import { listed } from '../foreign/namePrefix.js';
import { CIRKD_HEAD_NAME, isSegformer, SEGFORMERS, type SegformerName } from '../segformer.js';
import {
  type BackboneFile,
  readBackboneFile,
  detectBackboneName,
  detectStem,
} from '../foreign/backboneFile.js';
import type { SegmentationNetwork } from '../network.js';

/** More names than any backbone has. */
const MOST_LISTED = 1000;

/**
 * Loads all weights and running statistics of the backbone and leaves the rest of the network as it is.
 * Missing batch counts become 0. `tensors` are named as in a file (see readBackboneFile). Returns the names
 * that were left out: the classifier's.
 * Throws CheckpointError, before anything is changed, if the weights don't match the backbone exactly. The
 * message names the other backbone or stem that they belong to, or lists every name and shape that differs.
 */
export function loadBackboneWeights(
  network: SegmentationNetwork,
  tensors: NamedTensors,
): readonly string[] {
  const file = readBackboneFile(tensors);
  if (isSegformer(network.spec.model)) return loadMit(network, network.spec.model, file);
  const prefix = backbonePrefix(network);
  const own = new Map(
    network.state.entries
      .filter(({ name }) => name.startsWith(prefix))
      .map((entry) => [entry.name.slice(prefix.length), entry]),
  );
  const { backbone } = network.spec;
  checkStem(file.tensors, detectStem(own, backbone)?.backbone ?? null, backbone);
  checkName(detectBackboneName(file.tensors), detectBackboneName(own));
  network.loadStateDict(file.tensors, {
    ...{ strict: true, listed: MOST_LISTED, under: prefix },
    countsMayLack: true,
  });
  return file.leftOut;
}

/** The file's form may be another than the network's. */
function loadMit(
  network: SegmentationNetwork,
  model: SegformerName,
  { tensors, leftOut }: BackboneFile,
): readonly string[] {
  const form = mitFormOf([...tensors.keys()]);
  const detected = detectBackboneName(tensors);
  if (form !== null) checkName(detected, network.spec.backbone);
  if (form === null) {
    throw new CheckpointError(
      `weights: ${detected ?? listed([...tensors.keys()])} given, the network's backbone is ${network.spec.backbone}`,
    );
  }
  const { form: own, names } = SEGFORMERS[model];
  const converted = convertMit(tensors, MIT_FORMS[form], MIT_FORMS[own]);
  const under = names.backbone === '' ? '' : `${names.backbone}.`;
  // Where no prefix tells the head from the backbone, the head is loaded with its own weights.
  const head =
    under === '' ? [...network.stateDict()].filter(([name]) => CIRKD_HEAD_NAME.test(name)) : [];
  network.loadStateDict(new Map([...converted, ...head]), {
    strict: true,
    listed: MOST_LISTED,
    under,
  });
  return leftOut;
}

/** The prefix of the backbone's names, read from its first layer, which holds the network's first weight. */
function backbonePrefix(network: SegmentationNetwork): string {
  const { name } = network.state.entries[0]!;
  const found = /^(.*?)(conv1|stem\.0|features\.0\.0)\.weight$/.exec(name);
  if (found === null) throw new Error(`${name}: wanted the first weight of a known backbone`);
  return found[1]!;
}

function checkStem(tensors: NamedTensors, wanted: string | null, backbone: string): void {
  const detected = detectStem(tensors, backbone);
  if (detected === null || wanted === null || detected.backbone === wanted) return;
  throw new CheckpointError(
    `weights: ${detected.weight} [${tensors.get(detected.weight)!.shape}] belongs to the stem of ` +
      `${detected.backbone}, the network's backbone is ${backbone}`,
  );
}

function checkName(detected: string | null, wanted: string | null): void {
  if (detected === null || wanted === null || detected === wanted) return;
  throw new CheckpointError(`weights: ${detected} given, the network's backbone is ${wanted}`);
}
