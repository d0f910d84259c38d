/**
 * What other programs put before every name of a state dict: DataParallel `module.`, torch.compile
 * `_orig_mod.`, Lightning the attribute that held the network.
 */
import { CheckpointError } from '../../wire/checkpointError.js';
import { printable } from '../../wire/printable.js';
import type { NamedTensors } from '../../wire/safetensors.js';

/** What the names are of: it says at which word the names themselves begin. */
export type NamesOf = 'network' | 'backbone';

/** First words of names: of the official networks, torchvision's and mmsegmentation's, and of backbones. */
const FIRST_WORDS: Readonly<Record<NamesOf, ReadonlySet<string>>> = {
  network: new Set([
    ...['pretrained', 'head', 'auxlayer'],
    ...['backbone', 'classifier', 'aux_classifier', 'decode_head', 'auxiliary_head'],
  ]),
  backbone: new Set([
    ...['conv1', 'bn1', 'stem', 'layer1', 'layer2', 'layer3', 'layer4', 'fc'],
    ...['features', 'conv', 'classifier'],
  ]),
};

/** Words that never begin a name of a network's own. */
const WRAPPERS: ReadonlySet<string> = new Set(['module', '_orig_mod', 'model', 'net', 'student']);

/** Where a user says which names are meant. */
export const PREFIX_OPTIONS =
  '--strip-prefix of cirkd import, student.backboneWeightsPrefix of a config:';

export interface BareTensors {
  /** Names without the prefix. */
  readonly tensors: NamedTensors;
  /** What was taken off, with the last dot; '' where there was nothing. */
  readonly prefix: string;
  /** Names that didn't begin with the prefix asked for. */
  readonly leftOut: readonly string[];
}

/**
 * Takes off what stands before all names: known wrappers in any order, and whatever else ends where
 * names of a network or backbone begin. Names of whole networks and backbones stay as they are.
 * Throws CheckpointError where some names have a wrapper's prefix and others don't.
 */
export function withoutPrefix(tensors: NamedTensors, namesOf: NamesOf): BareTensors {
  const prefix = commonPrefix([...tensors.keys()], namesOf);
  const bare = cut(tensors, prefix);
  refuseMixed([...bare.keys()]);
  return { tensors: bare, prefix, leftOut: [] };
}

/**
 * Keeps the names that begin with `prefix` (a dot at its end may be missing), without it; what
 * withoutPrefix finds behind it is taken off, too. Throws CheckpointError where no name begins so.
 */
export function underPrefix(tensors: NamedTensors, prefix: string, namesOf: NamesOf): BareTensors {
  const whole = prefix.endsWith('.') ? prefix : `${prefix}.`;
  const names = [...tensors.keys()];
  const leftOut = names.filter((name) => !name.startsWith(whole));
  if (leftOut.length === names.length) {
    throw new CheckpointError(
      `weights: no name begins with '${printable(whole)}', they are ${listed(names)}`,
    );
  }
  const kept = new Map([...tensors].filter(([name]) => name.startsWith(whole)));
  const inner = withoutPrefix(cut(kept, whole), namesOf);
  return { tensors: inner.tensors, prefix: whole + inner.prefix, leftOut };
}

/** What was taken off or left out, in a line; null where nothing was. */
export function prefixNote({ prefix, leftOut }: BareTensors): string | null {
  if (prefix === '') return null;
  const others = leftOut.length === 0 ? '' : `; left out ${leftOut.length} names without it`;
  const which = leftOut.length === 0 ? '' : ` (${listed(leftOut)})`;
  return `prefix taken off: '${printable(prefix)}'${others}${which}`;
}

/** Up to three names, for a message. */
export function listed(names: readonly string[]): string {
  return `${names.slice(0, 3).map(printable).join(', ')}${names.length > 3 ? ', …' : ''}`;
}

function commonPrefix(names: readonly string[], namesOf: NamesOf): string {
  const shared = sharedWords(names);
  const own = FIRST_WORDS[namesOf];
  for (let words = 0; words <= shared.length; words += 1) {
    const prefix = joined(shared.slice(0, words));
    if (names.some((name) => own.has(firstWord(name.slice(prefix.length))))) return prefix;
  }
  // Not a network's names: only what can't be part of any is taken off.
  const other = shared.findIndex((word) => !WRAPPERS.has(word));
  return joined(other === -1 ? shared : shared.slice(0, other));
}

/** The words that all names begin with; the last word of a name isn't one of them. */
function sharedWords(names: readonly string[]): string[] {
  const [first = '', ...others] = names;
  const words = first.split('.').slice(0, -1);
  const shares = (count: number) => {
    const prefix = joined(words.slice(0, count));
    return others.every((name) => name.startsWith(prefix));
  };
  let count = 0;
  while (count < words.length && shares(count + 1)) count += 1;
  return words.slice(0, count);
}

function refuseMixed(names: readonly string[]): void {
  const wrapped = names.filter((name) => WRAPPERS.has(firstWord(name)));
  const bare = names.find((name) => firstWord(name) !== firstWord(wrapped[0] ?? ''));
  if (wrapped.length === 0 || bare === undefined) return;
  throw new CheckpointError(
    `weights: names come with and without the prefix '${firstWord(wrapped[0]!)}.' ` +
      `(${printable(wrapped[0]!)}, ${printable(bare)}); say which to take: ${PREFIX_OPTIONS} ${firstWord(wrapped[0]!)}.`,
  );
}

function cut(tensors: NamedTensors, prefix: string): NamedTensors {
  return new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function joined(words: readonly string[]): string {
  return words.map((word) => `${word}.`).join('');
}

function firstWord(name: string): string {
  return name.split('.', 1)[0]!;
}
