/** Takes a published backbone's weights over into a network. */
import { CheckpointError } from '../wire/checkpointError.js';
import type { NamedTensors } from '../wire/safetensors.js';
import { readBackboneFile, tellBackboneName, withStemOf } from './foreign/backboneFile.js';
import type { SegmentationNetwork } from './network.js';

/** More names than any backbone has. */
const MOST_LISTED = 1000;

/**
 * Takes over all weights and running statistics of the backbone; the rest of the network stays. Batch
 * counts may be missing and are 0 then. `tensors` have the names of a file, see readBackboneFile; returned
 * are those that were left out, the classifier's.
 * Throws CheckpointError, before anything is changed, where the weights aren't exactly those of the
 * backbone: another backbone's or with another stem, which is named, or with names and shapes that don't
 * fit, all listed.
 */
export function loadBackboneWeights(
  network: SegmentationNetwork,
  tensors: NamedTensors,
): readonly string[] {
  const file = readBackboneFile(tensors);
  const prefix = backbonePrefix(network);
  const own = new Map(
    network.state.entries
      .filter(({ name }) => name.startsWith(prefix))
      .map((entry) => [entry.name.slice(prefix.length), entry]),
  );
  const { backbone } = network.spec;
  checkStem(file.tensors, withStemOf(own, backbone)?.backbone ?? null, backbone);
  checkName(tellBackboneName(file.tensors), tellBackboneName(own));
  network.loadStateDict(file.tensors, {
    ...{ strict: true, listed: MOST_LISTED, under: prefix },
    countsMayLack: true,
  });
  return file.leftOut;
}

/** What stands before the names of the backbone's layers; the first of them is a network's first weight. */
function backbonePrefix(network: SegmentationNetwork): string {
  const { name } = network.state.entries[0]!;
  const found = /^(.*?)(conv1|stem\.0|features\.0\.0)\.weight$/.exec(name);
  if (found === null) throw new Error(`${name}: no backbone known begins so`);
  return found[1]!;
}

function checkStem(tensors: NamedTensors, wanted: string | null, backbone: string): void {
  const told = withStemOf(tensors, backbone);
  if (told === null || wanted === null || told.backbone === wanted) return;
  throw new CheckpointError(
    `weights: ${told.weight} [${tensors.get(told.weight)!.shape}] is of the stem of ` +
      `${told.backbone}, the network's backbone is ${backbone}`,
  );
}

function checkName(told: string | null, wanted: string | null): void {
  if (told === null || wanted === null || told === wanted) return;
  throw new CheckpointError(`weights: of ${told}, the network's backbone is ${wanted}`);
}
