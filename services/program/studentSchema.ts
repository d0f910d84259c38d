/** The student's schema with the check that needs the table of networks, which src/config can't know. */
import type { CrossFault } from '../../src/config/fields.js';
import { type StudentConfig, studentSchema as sectionsSchema } from '../../src/config/student.js';
import { isSegformer } from '../../src/models/segformer.js';
import { ZOO } from '../../src/models/zoo.js';

export const studentSchema: typeof sectionsSchema = {
  ...sectionsSchema,
  crossFaults: (config) => [...networkFaults(config), ...sectionsSchema.crossFaults(config)],
};

/** A fault if there is no such network: the model alone decides which backbones it can have. */
function networkFaults({ student }: StudentConfig): CrossFault[] {
  const { model, backbone, widthMultiplier } = student;
  return [...backboneFaults(model, backbone), ...widthFaults(model, widthMultiplier)];
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
