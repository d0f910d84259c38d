/** Detects which SegFormer a state dict belongs to, from its names and shapes. */
import { CheckpointError } from '../../wire/checkpointError.js';
import type { NamedTensors } from '../../wire/safetensors.js';
import { detectMit, mitFormOf } from '../backbones/mit/mitNames.js';
import { MIT_SIZES } from '../backbones/mit/mit.js';
import { SEGFORMERS, type SegformerName, segformerChannels } from '../segformer.js';
import type { KnownSpec, NetworkSpec } from '../spec.js';

/** Weights whose first dimension is the number of classes, or the feature's channels. */
const HEAD_WEIGHTS: Readonly<
  Record<SegformerName, { readonly classifier: string; readonly feature: string }>
> = {
  segformer: { classifier: 'linear_pred.weight', feature: 'linear_fuse.0.weight' },
  hf_segformer: {
    classifier: 'decode_head.classifier.weight',
    feature: 'decode_head.linear_fuse.weight',
  },
  mmseg_segformer: {
    classifier: 'decode_head.conv_seg.weight',
    feature: 'decode_head.fusion_conv.conv.weight',
  },
};

const MOST_CLASSES = 65_535;

/**
 * null if the names are of no SegFormer. Throws CheckpointError on a SegFormer that no network here is: other
 * depths, channels or head. All names and shapes are checked when the network loads the weights.
 */
export function detectSegformer(tensors: NamedTensors, known: KnownSpec): NetworkSpec | null {
  const model = modelOf(tensors);
  if (model === null) return null;
  const prefix = prefixOf(model);
  const names = new Map(
    [...tensors].flatMap(([name, tensor]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [],
    ),
  );
  const backbone = known.backbone ?? detectMit(names);
  if (backbone === null) {
    throw new CheckpointError(
      `backbone: can't be detected, the weights are a Mix Transformer of other depths or channels; wanted one of ${Object.keys(MIT_SIZES).join(', ')}`,
    );
  }
  const { classifier, feature } = HEAD_WEIGHTS[model];
  const wanted = segformerChannels(model)[backbone];
  const channels = firstSize(tensors, feature, 'variant');
  if (wanted !== undefined && channels !== wanted) {
    throw new CheckpointError(
      `variant: can't be detected, ${feature} has ${channels} channels; wanted ${wanted} on ${backbone}`,
    );
  }
  const numClasses = known.numClasses ?? firstSize(tensors, classifier, 'classes');
  if (numClasses < 1 || numClasses > MOST_CLASSES) {
    throw new CheckpointError(
      `classes: can't be detected, ${classifier} has ${numClasses}, wanted 1 to ${MOST_CLASSES}`,
    );
  }
  return {
    model: known.model ?? model,
    ...{ backbone, numClasses },
    variant: known.variant ?? 'v1',
    widthMultiplier: known.widthMultiplier ?? 1,
  };
}

function modelOf(tensors: NamedTensors): SegformerName | null {
  for (const [name, { form }] of Object.entries(SEGFORMERS)) {
    const model = name as SegformerName;
    const prefix = prefixOf(model);
    const head = HEAD_WEIGHTS[model];
    const hasHead = tensors.has(head.feature) || tensors.has(head.classifier);
    const first = mitFormOf([...tensors.keys()], prefix);
    if (hasHead && first === form) return model;
  }
  return null;
}

function prefixOf(model: SegformerName): string {
  const { backbone } = SEGFORMERS[model].names;
  return backbone === '' ? '' : `${backbone}.`;
}

function firstSize(tensors: NamedTensors, name: string, field: string): number {
  const size = tensors.get(name)?.shape[0];
  if (size !== undefined) return size;
  throw new CheckpointError(`${field}: can't be detected, ${name} is missing`);
}
