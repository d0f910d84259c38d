/** A golden case whose tensors are in the set's files or computed from a recipe. */
import type { NamedTensor } from '../wire/safetensors.js';
import type { CaseRecord, GoldenSet, TensorSource } from './goldenSet.js';
import { hostTensor } from './hostTensor.js';
import {
  type Float32HostTensor,
  type GoldenCase,
  GoldenError,
  type HostTensor,
  type Int32HostTensor,
} from './operation.js';
import { recipeTensor } from './recipe.js';

export class FileCase implements GoldenCase {
  readonly record: CaseRecord;
  readonly #set: GoldenSet;

  constructor(set: GoldenSet, record: CaseRecord) {
    this.#set = set;
    this.record = record;
  }

  get name(): string {
    return this.record.name;
  }

  get op(): string {
    return this.record.op;
  }

  get directory(): string {
    return this.#set.directory;
  }

  get params(): Readonly<Record<string, unknown>> {
    return this.record.params;
  }

  get inputKeys(): readonly string[] {
    return Object.keys(this.record.inputs);
  }

  get expectedKeys(): readonly string[] {
    return Object.keys(this.record.expected);
  }

  expectedShape(key: string): readonly number[] {
    return this.record.subsample?.[key]?.shape ?? this.expected(key).shape;
  }

  has(inputKey: string): boolean {
    return this.record.inputs[inputKey] !== undefined;
  }

  float32(inputKey: string): Float32HostTensor {
    const { data, shape } = this.#input(inputKey);
    if (!(data instanceof Float32Array)) throw this.#error(inputKey, 'float32 wanted');
    return { data, shape };
  }

  int32(inputKey: string): Int32HostTensor {
    const { data, shape } = this.#input(inputKey);
    if (!(data instanceof Int32Array)) throw this.#error(inputKey, 'int32 wanted');
    return { data, shape };
  }

  number(param: string): number {
    const value = this.params[param];
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.#error(`params.${param}`, `${JSON.stringify(value)} given, a number wanted`);
  }

  text(param: string): string {
    const value = this.params[param];
    if (typeof value === 'string') return value;
    throw this.#error(`params.${param}`, `${JSON.stringify(value)} given, a string wanted`);
  }

  /** The expected tensor as stored, possibly a subsample. */
  expected(key: string): HostTensor {
    const source = this.record.expected[key];
    if (source === undefined) throw this.#error(key, 'no such expected tensor');
    return this.#read(key, source);
  }

  /** The same as stored bytes with their dtype; throws GoldenError for a recipe. */
  stored(key: string): NamedTensor {
    const source = this.record.expected[key];
    if (typeof source !== 'string') throw this.#error(key, 'no stored tensor of this name');
    return this.#stored(key, source);
  }

  #input(key: string): HostTensor {
    const source = this.record.inputs[key];
    if (source === undefined) throw this.#error(key, 'no such input');
    return this.#read(key, source);
  }

  #read(key: string, source: TensorSource): HostTensor {
    return typeof source === 'string'
      ? hostTensor(this.#stored(key, source))
      : recipeTensor(source.recipe);
  }

  #stored(key: string, source: string): NamedTensor {
    const hash = source.indexOf('#');
    if (hash < 0) throw this.#error(key, `"${source}" given, "file#tensor" wanted`);
    const tensor = this.#set.file(source.slice(0, hash)).get(source.slice(hash + 1));
    if (tensor === undefined) throw this.#error(key, `${source}: no such tensor`);
    return tensor;
  }

  #error(key: string, fault: string): GoldenError {
    return new GoldenError(`${this.name}: ${key}: ${fault}`);
  }
}
