/**
 * Removes the prefix that other programs put before every name of a state dict: DataParallel `module.`,
 * torch.compile `_orig_mod.`, Lightning the attribute that held the network.
 */
import { CheckpointError } from '../../wire/checkpointError.js';
import { printable } from '../../wire/printable.js';
import type { NamedTensors } from '../../wire/safetensors.js';

/** What the names belong to: decides at which component the names themselves begin. */
export type NamesOf = 'network' | 'backbone';

/** First components of names: in official, torchvision's and mmsegmentation's networks; in backbones. */
const FIRST_COMPONENTS: Readonly<Record<NamesOf, ReadonlySet<string>>> = {
  network: new Set([
    ...['pretrained', 'head', 'auxlayer'],
    ...['backbone', 'classifier', 'aux_classifier', 'decode_head', 'auxiliary_head'],
    // SegFormers of CIRKD's code and transformers.
    ...['patch_embed1', 'segformer'],
  ]),
  backbone: new Set([
    ...['conv1', 'bn1', 'stem', 'layer1', 'layer2', 'layer3', 'layer4', 'fc'],
    ...['features', 'conv', 'classifier'],
    ...['patch_embed1', 'patch_embeddings', 'layers'],
  ]),
};

/** Components that never begin a network's own names. */
const WRAPPERS: ReadonlySet<string> = new Set(['module', '_orig_mod', 'model', 'net', 'student']);

/** The options by which a user chooses the prefix, for messages. */
export const PREFIX_OPTIONS =
  '--strip-prefix of cirkd import, student.backboneWeightsPrefix of a config:';

export interface BareTensors {
  /** Names without the prefix. */
  readonly tensors: NamedTensors;
  /** The prefix that was removed, with its last dot; '' if none. */
  readonly prefix: string;
  /** Names without the requested prefix. */
  readonly leftOut: readonly string[];
}

/** What PyTorch's AveragedModel stores beside the names of the network it wraps: how many were averaged. */
const AVERAGED_COUNT = 'n_averaged';

/**
 * Removes the prefix common to all names: known wrappers in any order, and any other prefix after which
 * names of a network or backbone begin. Names that have no such prefix stay as they are. AveragedModel's
 * count is left out.
 * Throws CheckpointError if only some names have a wrapper's prefix.
 */
export function withoutPrefix(tensors: NamedTensors, namesOf: NamesOf): BareTensors {
  const { wrapped, leftOut } = withoutCount(tensors);
  const prefix = commonPrefix([...wrapped.keys()], namesOf);
  const bare = cut(wrapped, prefix);
  refuseMixed([...bare.keys()]);
  return { tensors: bare, prefix, leftOut };
}

/** Leaves out AveragedModel's count if all other names have its wrapper's prefix. */
function withoutCount(tensors: NamedTensors): {
  readonly wrapped: NamedTensors;
  readonly leftOut: readonly string[];
} {
  const wrapped = new Map([...tensors].filter(([name]) => name !== AVERAGED_COUNT));
  const isAveraged =
    0 < wrapped.size &&
    wrapped.size < tensors.size &&
    [...wrapped.keys()].every((name) => name.startsWith('module.'));
  return isAveraged ? { wrapped, leftOut: [AVERAGED_COUNT] } : { wrapped: tensors, leftOut: [] };
}

/**
 * Keeps the names that begin with `prefix` (its last dot is optional) and removes it, along with any prefix
 * that withoutPrefix finds after it. If no name begins with it, it is looked for after the prefix that
 * withoutPrefix would remove from a whole network. Throws CheckpointError if it isn't there either.
 */
export function underPrefix(tensors: NamedTensors, prefix: string, namesOf: NamesOf): BareTensors {
  const whole = prefix.endsWith('.') ? prefix : `${prefix}.`;
  const names = [...tensors.keys()];
  const asked = askedPrefix(tensors, whole);
  if (asked === null) {
    throw new CheckpointError(
      `weights: no name begins with '${printable(whole)}', they are ${listed(names)}`,
    );
  }
  const kept = new Map([...tensors].filter(([name]) => name.startsWith(asked)));
  const inner = withoutPrefix(cut(kept, asked), namesOf);
  const others = names.filter((name) => !name.startsWith(asked));
  return {
    tensors: inner.tensors,
    prefix: asked + inner.prefix,
    leftOut: [...others, ...inner.leftOut.map((name) => asked + name)],
  };
}

/** `prefix` as the names have it: at their beginning, or after the wrappers' prefix; null if none has it. */
function askedPrefix(tensors: NamedTensors, prefix: string): string | null {
  const outer = commonPrefix([...withoutCount(tensors).wrapped.keys()], 'network');
  const candidates = [prefix, outer + prefix];
  const names = [...tensors.keys()];
  return candidates.find((one) => names.some((name) => name.startsWith(one))) ?? null;
}

/** One line on the prefix that was removed and the names without it; null if there was no prefix. */
export function prefixNote({ prefix, leftOut }: BareTensors): string | null {
  if (prefix === '') return null;
  const names = leftOut.length === 1 ? '1 name' : `${leftOut.length} names`;
  const others = leftOut.length === 0 ? '' : `; ${names} without it not used`;
  const which = leftOut.length === 0 ? '' : ` (${listed(leftOut)})`;
  return `prefix removed: '${printable(prefix)}'${others}${which}`;
}

/** Up to three names, for a message. */
export function listed(names: readonly string[]): string {
  return `${names.slice(0, 3).map(printable).join(', ')}${names.length > 3 ? ', …' : ''}`;
}

function commonPrefix(names: readonly string[], namesOf: NamesOf): string {
  const shared = sharedComponents(names);
  const own = FIRST_COMPONENTS[namesOf];
  for (let components = 0; components <= shared.length; components += 1) {
    const prefix = joined(shared.slice(0, components));
    if (names.some((name) => own.has(firstComponent(name.slice(prefix.length))))) return prefix;
  }
  // Not a network's names: remove only components that can't be part of any.
  const other = shared.findIndex((component) => !WRAPPERS.has(component));
  return joined(other === -1 ? shared : shared.slice(0, other));
}

/** The components with which all names begin, the last component of a name excluded. */
function sharedComponents(names: readonly string[]): string[] {
  const [first = '', ...others] = names;
  const components = first.split('.').slice(0, -1);
  const shares = (count: number) => {
    const prefix = joined(components.slice(0, count));
    return others.every((name) => name.startsWith(prefix));
  };
  let count = 0;
  while (count < components.length && shares(count + 1)) count += 1;
  return components.slice(0, count);
}

function refuseMixed(names: readonly string[]): void {
  const wrapped = names.filter((name) => WRAPPERS.has(firstComponent(name)));
  const bare = names.find((name) => firstComponent(name) !== firstComponent(wrapped[0] ?? ''));
  if (wrapped.length === 0 || bare === undefined) return;
  throw new CheckpointError(
    `weights: names come with and without the prefix '${firstComponent(wrapped[0]!)}.' ` +
      `(${printable(wrapped[0]!)}, ${printable(bare)}); say which to take: ${PREFIX_OPTIONS} ${firstComponent(wrapped[0]!)}.`,
  );
}

function cut(tensors: NamedTensors, prefix: string): NamedTensors {
  return new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function joined(components: readonly string[]): string {
  return components.map((component) => `${component}.`).join('');
}

function firstComponent(name: string): string {
  return name.split('.', 1)[0]!;
}
