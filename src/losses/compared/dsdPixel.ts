/**
 * Pixel-wise similarity of double similarity distillation (DSD): Feng et al., "Double similarity
 * distillation for semantic image segmentation", IEEE Transactions on Image Processing 2021, as the
 * official CIRKD code has it.
 *
 * N images, H W positions, P = H * W, C channels of a level, L levels. Official weight 1000; levels:
 * auxiliary logits, embedding, logits.
 *
 * With a_l the attention map of level l (attentionMap.ts) and r_mn = unit(a_n - a_m) per image,
 * loss = mean over the pairs m < n of the mean over N * P of (r_mn of the student - r_mn of the
 * teacher)^2.
 *
 * A pair whose two levels are one tensor of the student has residual 0 and no gradient: the parts
 * of the two levels cancel. The official code divides both by 1e-12 and loses the level's gradient
 * to rounding (docs/parity.md).
 */
import { ops, scalar, scope, type Tensor } from '../../tensor/index.js';
import { type UnitRows, unitRows, unitRowsGrad } from '../normalize.js';
import { sumOfSquares } from '../rowSum.js';
import { attentionMap, attentionMapGrad, channelEnergy } from './attentionMap.js';

export interface DsdPixelLoss {
  readonly loss: number;
  /** For each level float32 [N, H, W, C], with respect to the student's map. */
  readonly gradients: readonly Tensor[];
}

/**
 * @param student raw maps [N, H, W, C], at least two; their channels may differ
 * @param teacherEnergies [N, H, W] of the same levels, from `channelEnergy` or `energyOfNorms`
 * @throws RangeError if there are fewer than two levels, or their number or positions differ
 */
export function dsdPixel(
  student: readonly Tensor[],
  teacherEnergies: readonly Tensor[],
): DsdPixelLoss {
  requireLevels(student, teacherEnergies);
  return scope(() => {
    const maps = student.map((level) => attentionMap(channelEnergy(level)));
    const targets = teacherEnergies.map((energy_NHW) => attentionMap(energy_NHW));
    const pairs = pairsOf(student.length);
    const factor = 1 / (pairs.length * maps[0]!.embedding_PC.size);
    const sums: (Tensor | null)[] = student.map(() => null);
    let loss = 0;
    for (const [m, n] of pairs) {
      const { squares, dy_NP } = pairGradient(
        residual(maps, m, n),
        residual(targets, m, n),
        factor,
      );
      loss += factor * squares;
      if (student[m] === student[n]) continue;
      sums[n] = added(sums[n]!, dy_NP);
      sums[m] = added(sums[m]!, ops.mul(dy_NP, scalar(-1)));
    }
    const gradients = student.map((level, at) =>
      attentionMapGrad(sums[at] ?? ops.mul(maps[at]!.embedding_PC, scalar(0)), maps[at]!, level),
    );
    return { loss, gradients };
  });
}

/** Pairs m < n. */
function pairsOf(levels: number): (readonly [number, number])[] {
  const all = Array.from({ length: levels }, (_, level) => level);
  return all.flatMap((m) => all.slice(m + 1).map((n) => [m, n] as const));
}

function residual(maps: readonly UnitRows[], m: number, n: number): UnitRows {
  return scope(() => unitRows(ops.sub(maps[n]!.embedding_PC, maps[m]!.embedding_PC)));
}

/** The sum of squares of one pair, and factor times its gradient with respect to a_n - a_m. */
function pairGradient(student: UnitRows, teacher: UnitRows, factor: number) {
  return scope(() => {
    const difference_NP = ops.sub(student.embedding_PC, teacher.embedding_PC);
    const dy_NP = ops.mul(difference_NP, scalar(2 * factor));
    return { squares: sumOfSquares(difference_NP), dy_NP: unitRowsGrad(dy_NP, student) };
  });
}

const added = (sum: Tensor | null, part: Tensor) => (sum === null ? part : ops.add(sum, part));

function requireLevels(student: readonly Tensor[], teacherEnergies: readonly Tensor[]): void {
  if (student.length < 2 || teacherEnergies.length !== student.length) {
    throw new RangeError(
      `levels: ${student.length} of the student and ${teacherEnergies.length} of the teacher given, wanted the same number, 2 or more`,
    );
  }
  const wanted = student[0]!.shape.slice(0, 3).join();
  for (const [level, { shape }] of student.entries()) {
    const energies = teacherEnergies[level]!.shape;
    if (shape.slice(0, 3).join() !== wanted || energies.join() !== wanted) {
      throw new RangeError(
        `level ${level}: [${shape}] of the student and energies [${energies}] of the teacher given, wanted positions [${wanted}]`,
      );
    }
  }
}
