/** Both sides must have computed the same, or their times mean nothing: what they say of it, compared. */
import type { Check } from './protocol.js';

/**
 * A loss against itself; of other numbers (elements of an output, norms of gradients or weights) each
 * against the largest of its kind: batch norm with fresh weights amplifies rounding, most of all where
 * a gradient is next to nothing.
 */
const TOLERANCES = { loss: 1e-4, output: 1e-3, norm: 5e-3 } as const;

export interface Distance {
  readonly what: string;
  readonly worst: number;
  readonly tolerance: number;
}

/** How far apart the sides are; throws Error where one says what the other doesn't, or a number too far off. */
export function compareChecks(name: string, ours: Check, peer: Check): Distance[] {
  const [got, wanted] = [ours, peer].map((check) => Object.keys(check).sort().join(', '));
  if (got !== wanted) throw new Error(`${name}: ${got} here, ${wanted} in PyTorch`);
  return Object.keys(ours).map((what) => {
    const worst = distance(ours[what]!, peer[what]!);
    const tolerance = toleranceOf(what);
    // Written so that NaN fails too.
    if (worst <= tolerance) return { what, worst, tolerance };
    throw new Error(
      `${name}: ${what} is ${ours[what]!.slice(0, 4)}… here and ${peer[what]!.slice(0, 4)}… in ` +
        `PyTorch: ${worst} of the largest apart, ${tolerance} is the most`,
    );
  });
}

function distance(ours: readonly number[], peer: readonly number[]): number {
  if (ours.length !== peer.length) return Number.NaN;
  const largest = Math.max(...peer.map(Math.abs));
  return Math.max(...peer.map((wanted, i) => Math.abs(ours[i]! - wanted))) / largest;
}

function toleranceOf(what: string): number {
  if (what.startsWith('loss ')) return TOLERANCES.loss;
  return what.includes('norms') ? TOLERANCES.norm : TOLERANCES.output;
}

/** Of a large tensor. */
const SAMPLES = 64;

/** Evenly spread elements; all of them where there are few. */
export function sampled(values: Float32Array): number[] {
  // Odd: even steps would see the same few channels again and again.
  const step = Math.max(1, Math.floor(values.length / SAMPLES) - 1) | 1;
  const count = Math.min(SAMPLES, values.length);
  return Array.from({ length: count }, (_, i) => values[i * step]!);
}

export function euclideanNorm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
}
