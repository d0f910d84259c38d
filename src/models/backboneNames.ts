/** Which parameters belong to a network's backbone, by their names. */
import { CIRKD_BACKBONE_NAME } from './backbones/mit/mitForm.js';
import type { ModelName } from './spec.js';
import { originOf } from './zoo.js';

/** @param name of a parameter of the network, or of a part that is trained with it */
export function isOfBackbone(model: ModelName, name: string): boolean {
  const { backbone } = originOf(model).names;
  return backbone === '' ? CIRKD_BACKBONE_NAME.test(name) : name.startsWith(`${backbone}.`);
}
