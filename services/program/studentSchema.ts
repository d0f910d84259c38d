/** The student's schema with the checks that need the table of networks, which src/config can't know. */
import type { CrossFault } from '../../src/config/fields.js';
import { type StudentConfig, studentSchema as sectionsSchema } from '../../src/config/student.js';
import { SMALLEST_LOGITS } from '../../src/losses/adversarial/discriminator.js';
import { MIT_SMALLEST_SIDE } from '../../src/models/backbones/mit/mit.js';
import { isSegformer } from '../../src/models/segformer.js';
import { outputStrideOf, ZOO } from '../../src/models/zoo.js';

export const studentSchema: typeof sectionsSchema = {
  ...sectionsSchema,
  crossFaults: (config) => [
    ...networkFaults(config),
    ...segformerCropFaults(config),
    ...discriminatorFaults(config),
    ...sectionsSchema.crossFaults(config),
  ],
};

/** A fault if there is no such network: the model alone decides which backbones it can have. */
function networkFaults({ student }: StudentConfig): CrossFault[] {
  const { model, backbone, widthMultiplier } = student;
  return [...backboneFaults(model, backbone), ...widthFaults(model, widthMultiplier)];
}

/** Its last map would have no pixel. */
function segformerCropFaults({ student: { model }, data: { crop } }: StudentConfig): CrossFault[] {
  if (!isSegformer(model)) return [];
  return (['height', 'width'] as const)
    .filter((side) => crop[side] < MIT_SMALLEST_SIDE)
    .map((side) => ({
      keys: [`data.crop.${side}`, 'student.model'],
      message: `got ${crop[side]}, student.model ${model} wants at least ${MIT_SMALLEST_SIDE}`,
    }));
}

/** SKD's discriminator gives no score for the logits of a smaller crop. */
function discriminatorFaults({ loss, teacher, student, data }: StudentConfig): CrossFault[] {
  if (loss.weights.skd_holistic === 0 || teacher.addresses.length === 0) return [];
  const least = (SMALLEST_LOGITS - 1) * outputStrideOf(student.model) + 1;
  return (['height', 'width'] as const).flatMap((side) => {
    const given = data.crop[side];
    if (given >= least) return [];
    return [
      {
        keys: [`data.crop.${side}`, 'loss.weights.skd_holistic'],
        message: `got ${given}, wanted at least ${least}: the discriminator of skd_holistic needs logits of ${SMALLEST_LOGITS} x ${SMALLEST_LOGITS}`,
      },
    ];
  });
}

function widthFaults(model: string, widthMultiplier: number): CrossFault[] {
  if (!isSegformer(model) || widthMultiplier === 1) return [];
  return [
    {
      keys: ['student.widthMultiplier', 'student.model'],
      message: `got ${widthMultiplier}, student.model ${model} has width 1 only; its sizes are its backbones, mit_b0 to mit_b5`,
    },
  ];
}

function backboneFaults(model: string, backbone: string): CrossFault[] {
  const backbones = ZOO.filter((entry) => entry.model === model).map((entry) => entry.backbone);
  if (backbones.includes(backbone)) return [];
  return [
    {
      keys: ['student.backbone', 'student.model'],
      message: `got ${JSON.stringify(backbone)}, student.model ${model} wants one of ${backbones.join(', ')}`,
    },
  ];
}
