/** What a server says about itself and a model before it gets images. */

import { printable } from '../../wire/printable.js';
import type { ModelConfig } from '../generated/inference/ModelConfig.js';
import type { ModelMetadataResponse } from '../generated/inference/ModelMetadataResponse.js';

/** Tensors named in a message. */
export const MOST_SHOWN = 16;

/** Axes shown of a tensor's shape. */
const MOST_AXES = 8;

export interface ServerFacts {
  /** Name and version of the server program; empty if it doesn't say. */
  readonly server: string;
  readonly extensions: readonly string[];
  readonly metadata: ModelMetadataResponse;
  /** null: the server doesn't have Triton's extension for it. */
  readonly config: ModelConfig | null;
}

/** A tensor as the metadata states it. -1: any size. */
export type StatedTensor = ModelMetadataResponse['inputs'][number];

/** Names from a server, at most 16 of them, with commas between; `none` for none. */
export function namesText(names: readonly string[]): string {
  const shown = names.slice(0, MOST_SHOWN).map(printable).join(', ');
  const more = names.length - MOST_SHOWN;
  return more > 0 ? `${shown} and ${more} more` : shown || 'none';
}

/** "[1, 3, 8, 8]", at most 8 axes of it. */
export function shapeText(shape: readonly number[]): string {
  const shown = shape.slice(0, MOST_AXES).join(', ');
  const more = shape.length - MOST_AXES;
  return more > 0 ? `[${shown}, and ${more} more]` : `[${shown}]`;
}

/** "image FP32 [-1, 3, -1, -1]" */
export function tensorText({ name, datatype, shape }: StatedTensor): string {
  return `${printable(name)} ${printable(datatype) || 'of no type'} ${shapeText(shape)}`;
}

export function tensorsText(tensors: readonly StatedTensor[]): string {
  const shown = tensors.slice(0, MOST_SHOWN).map(tensorText).join('; ');
  const more = tensors.length - MOST_SHOWN;
  return more > 0 ? `${shown}; and ${more} more` : shown || 'none';
}

/** The model's inputs and outputs as the server states them, for messages. */
export function factsText({ server, metadata, config }: ServerFacts): string {
  const { name, platform, inputs, outputs } = metadata;
  const keys = Object.keys(config?.parameters ?? {}).filter((key) => key.startsWith('cirkd.'));
  const parameters = keys.length === 0 ? '' : `; parameters ${namesText(keys)}`;
  return (
    `model ${printable(name)} (platform ${printable(platform) || 'none'}, server ${printable(server) || 'unnamed'}); ` +
    `inputs ${tensorsText(inputs)}; outputs ${tensorsText(outputs)}${parameters}`
  );
}
