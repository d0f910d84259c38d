/** What a study compares: students that differ in the terms or the wire and in nothing else. */
import { UsageError } from '../../services/cli/command.js';

export interface Variant {
  /** As it is called in tables. */
  readonly title: string;
  /** Whether a teacher is listened to; without one the other terms don't count. */
  readonly isTaught: boolean;
  /** Laid over the study's config, as `--set` has it. */
  readonly settings: readonly string[];
}

/** Switches terms off. */
const without = (...terms: readonly string[]) => terms.map((term) => `loss.weights.${term}=0`);

/** By the name that `--variants` takes. Weights that aren't named here are the config's. */
export const VARIANTS: Readonly<Record<string, Variant>> = {
  labels: { title: 'labels', isTaught: false, settings: [] },
  'logits-kd': {
    title: 'labels + logits KD',
    isTaught: true,
    settings: without('minibatch_pixel', 'memory_pixel', 'memory_region'),
  },
  'minibatch-pixel': {
    title: '+ mini-batch pixel',
    isTaught: true,
    settings: without('memory_pixel', 'memory_region'),
  },
  'memory-pixel': { title: '+ memory pixel', isTaught: true, settings: without('memory_region') },
  cirkd: { title: 'CIRKD (+ memory region)', isTaught: true, settings: [] },
  'cirkd-fp32': {
    title: 'CIRKD, fp32 on the wire',
    isTaught: true,
    settings: ['teacher.encoding=fp32'],
  },
};

export type NamedVariant = Variant & { readonly name: string };

/** The variants of a comma-separated list, in its order. Throws UsageError for a name that isn't one. */
export function chooseVariants(list: string): NamedVariant[] {
  return list.split(',').map((name) => {
    const variant = Object.hasOwn(VARIANTS, name) ? VARIANTS[name] : undefined;
    if (variant === undefined) {
      const names = Object.keys(VARIANTS).join(', ');
      throw new UsageError(`variants: got ${JSON.stringify(name)}, wanted some of ${names}`);
    }
    return { name, ...variant };
  });
}
