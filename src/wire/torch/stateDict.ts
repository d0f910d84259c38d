/** Finds the weights in a checkpoint: the dict of names to tensors, at the top or under a key. */
import { CheckpointError } from '../checkpointError.js';
import { ForeignName, ForeignObject } from './foreignObjects.js';
import { kindOf, PickleDict, PickleTuple, shown } from './pickle/values.js';
import { PickledTensor } from './tensorForms.js';
import type { TorchTensor } from './torchTensor.js';

const MOST_WRAPPERS = 4;
/** Keys under which trainers store the weights, in search order. */
const WRAPPERS = [
  ...['state_dict', 'model_state_dict', 'model_state', 'model', 'network', 'net'],
  ...['student', 'module', 'weights', 'params'],
];
const SAVE_WEIGHTS =
  'which only Python with its code can make; save the weights alone: torch.save(model.state_dict(), FILE)';

/**
 * The tensors of the state dict, without other values. `wrapper`: the dict's key, or several joined by dots;
 * default: the usual keys. Throws CheckpointError if the key or tensors are missing or a tensor's kind isn't
 * read.
 */
export function stateDictTensors(root: unknown, wrapper?: string): Map<string, TorchTensor> {
  const dict = wrapper === undefined ? unwrapped(root) : under(root, wrapper.split('.'));
  const found = new Map<string, TorchTensor>();
  for (const [name, value] of dict.entries) {
    if (value instanceof PickledTensor) found.set(name, value.tensor);
    if (value instanceof ForeignObject && value.tensor) {
      throw new CheckpointError(
        `tensor ${shown(name)}: a ${shown(value.name)}, which is not read; ` +
          'wanted plain tensors of floats, integers or booleans',
      );
    }
  }
  if (found.size > 0) return found;
  for (const key of WRAPPERS) {
    const value = dict.entries.get(key);
    if (isForeign(value)) throw new CheckpointError(`${shown(key)}: ${described(value)}`);
  }
  throw new CheckpointError(
    `the checkpoint holds no tensors by name; its keys are ${keysOf(dict)}`,
  );
}

/** The string at this path of keys; null if there is none. */
export function textAt(root: unknown, path: readonly string[]): string | null {
  const value = valueAt(root, path);
  return typeof value === 'string' ? value : null;
}

/** The strings of the list or tuple at this path of keys; null unless it holds strings only. */
export function textsAt(root: unknown, path: readonly string[]): string[] | null {
  const value = valueAt(root, path);
  const items: readonly unknown[] = value instanceof PickleTuple ? value.items : asList(value);
  const texts = items.filter((item) => typeof item === 'string');
  return texts.length > 0 && texts.length === items.length ? texts : null;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  let value: unknown = root;
  for (const key of path) value = dictOf(value)?.entries.get(key);
  return value;
}

/** Descends through the usual keys as long as one holds a dict, and returns the last dict. */
function unwrapped(root: unknown): PickleDict {
  let dict = wantedDict(root, 'the checkpoint');
  for (let depth = 0; depth < MOST_WRAPPERS; depth++) {
    const { entries } = dict;
    const inner = WRAPPERS.map((key) => dictOf(entries.get(key))).find(isNest);
    if (inner === undefined) break;
    dict = inner;
  }
  return dict;
}

/** Whether it is a dict with a tensor in it, or with one of the usual keys. */
function isNest(dict: PickleDict | null): dict is PickleDict {
  if (dict === null) return false;
  const { entries } = dict;
  return [...entries.values()].some(isTensor) || WRAPPERS.some((key) => entries.has(key));
}

function under(root: unknown, path: readonly string[]): PickleDict {
  let dict = wantedDict(root, 'the checkpoint');
  for (const key of path) {
    if (!dict.entries.has(key)) {
      throw new CheckpointError(
        `${shown(key)}: no such key in the checkpoint, which has ${keysOf(dict)}`,
      );
    }
    dict = wantedDict(dict.entries.get(key), shown(key));
  }
  return dict;
}

function wantedDict(value: unknown, what: string): PickleDict {
  const dict = dictOf(value);
  if (dict !== null) return dict;
  if (isForeign(value)) throw new CheckpointError(`${what}: ${described(value)}`);
  throw new CheckpointError(`${what}: ${kindOf(value)}, wanted a dict of names to tensors`);
}

/** The value if it is a dict, or the items of an object of a dict class; else null. */
function dictOf(value: unknown): PickleDict | null {
  if (value instanceof PickleDict) return value;
  return value instanceof ForeignObject ? value.items : null;
}

function isForeign(value: unknown): value is ForeignObject | ForeignName {
  return value instanceof ForeignObject || value instanceof ForeignName;
}

function described({ name }: ForeignObject | ForeignName): string {
  return `an object of ${shown(name)}, ${SAVE_WEIGHTS}`;
}

function isTensor(value: unknown): boolean {
  return value instanceof PickledTensor || (value instanceof ForeignObject && value.tensor);
}

function keysOf({ entries, others }: PickleDict): string {
  const keys = [...entries.keys()];
  const some = keys.slice(0, 8).map(shown);
  const more = keys.length + others - some.length;
  if (some.length === 0) return more > 0 ? `${more} that are no strings` : 'none';
  return `${some.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
