/** Each term of the objective by itself, with its gradient, as a student with banks of its own sees it. */
import type { Workload } from '../../services/cli/bench/workload.js';
import { Objective } from '../../src/distill/objective.js';
import type { TeacherOutputs } from '../../src/distill/networkOutputs.js';
import type { StepDraws } from '../../src/distill/objectiveInput.js';
import type { ObjectiveSettings } from '../../src/distill/settings.js';
import { CIRKD_TERMS, type CirkdTerm, termWeights } from '../../src/contract/terms.js';
import type { LabelMaps } from '../../src/losses/nearestLabels.js';
import type { BankOptions } from '../../src/memory/memoryBank.js';
import { PixelMemoryBank } from '../../src/memory/pixelMemoryBank.js';
import { RegionMemoryBank } from '../../src/memory/regionMemoryBank.js';
import { readFloat32, scope, type Var } from '../../src/tensor/index.js';

export interface TermValue {
  readonly loss: number;
  /** With respect to what the term sees of the student: logits, feature or projected feature. */
  readonly gradient: Float32Array;
}

export interface StudentPass {
  readonly logits: Var;
  readonly feature: Var;
  readonly projected: Var;
  readonly labels: LabelMaps;
}

export class TermProbe {
  readonly #objectives: ReadonlyMap<CirkdTerm, Objective>;

  /** @param sizes rows of each class */
  constructor(
    settings: ObjectiveSettings,
    rows: Omit<BankOptions, 'size'>,
    sizes: Workload['bankRows'],
  ) {
    this.#objectives = new Map(
      CIRKD_TERMS.map((term) => {
        const [pixel, region] = [sizes.pixel, sizes.region].map((size) => ({ ...rows, size }));
        const banks = {
          pixel: term === 'memory_pixel' ? new PixelMemoryBank(pixel!) : null,
          region: term === 'memory_region' ? new RegionMemoryBank(region!) : null,
        };
        return [term, new Objective({ ...settings, weights: termWeights({ [term]: 1 }) }, banks)];
      }),
    );
  }

  /** The batch's rows stay in the banks. */
  evaluate(
    { logits, feature, projected, labels }: StudentPass,
    teacher: TeacherOutputs,
    draws: () => StepDraws,
    step: number,
  ): Map<CirkdTerm, TermValue> {
    const values = new Map<CirkdTerm, TermValue>();
    for (const [term, objective] of this.#objectives) {
      scope(() => {
        const { terms, seeds } = objective.evaluate({
          student: { logits, feature, aux: null },
          labels,
          teacher,
          project: () => projected,
          draws: draws(),
          step,
        });
        objective.commit();
        values.set(term, { loss: terms[term]!, gradient: readFloat32(seeds[0]![1]) });
      });
    }
    return values;
  }
}
