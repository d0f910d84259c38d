/** What a network's state dict has, without making the network. */
import type { Builder } from '../../../src/models/builder.js';
import type { NetworkSpec } from '../../../src/models/spec.js';
import { buildNetwork } from '../../../src/models/zoo.js';

/** As state_dicts.json has it. */
export type NetworkEntry = [
  name: string,
  shape: number[],
  dtype: 'float32' | 'int64',
  kind: 'param' | 'buffer',
];

/** In state-dict order, PyTorch's shapes. */
export function networkEntries(spec: NetworkSpec): NetworkEntry[] {
  const entries: NetworkEntry[] = [];
  buildNetwork(new EntryCollector(entries) as unknown as Builder, spec);
  return entries;
}

class EntryCollector {
  readonly #entries: NetworkEntry[];
  readonly #prefix: string;

  constructor(entries: NetworkEntry[], prefix = '') {
    this.#entries = entries;
    this.#prefix = prefix;
  }

  at(name: string | number): EntryCollector {
    return new EntryCollector(this.#entries, `${this.#prefix}${name}.`);
  }

  initialisedAs(): EntryCollector {
    return this;
  }

  parameter(name: string, shape: readonly number[]): object {
    return this.#add([`${this.#prefix}${name}`, [...shape], 'float32', 'param']);
  }

  buffer(name: string, shape: readonly number[]): object {
    return this.#add([`${this.#prefix}${name}`, [...shape], 'float32', 'buffer']);
  }

  counter(name: string): object {
    return this.#add([`${this.#prefix}${name}`, [], 'int64', 'buffer']);
  }

  nextDropout(): number {
    return 0;
  }

  #add(entry: NetworkEntry): object {
    this.#entries.push(entry);
    return {};
  }
}
