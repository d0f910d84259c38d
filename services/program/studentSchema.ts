/** The student's schema with the check that needs the table of networks, which src/config can't know. */
import type { CrossFault } from '../../src/config/fields.js';
import { type StudentConfig, studentSchema as sectionsSchema } from '../../src/config/student.js';
import { ZOO } from '../../src/models/zoo.js';

export const studentSchema: typeof sectionsSchema = {
  ...sectionsSchema,
  crossFaults: (config) => [...networkFaults(config), ...sectionsSchema.crossFaults(config)],
};

/** A fault if there is no such network: the model alone decides which backbones it can have. */
function networkFaults({ student: { model, backbone } }: StudentConfig): CrossFault[] {
  const backbones = ZOO.filter((entry) => entry.model === model).map((entry) => entry.backbone);
  if (backbones.includes(backbone)) return [];
  return [
    {
      keys: ['student.backbone', 'student.model'],
      message: `got ${JSON.stringify(backbone)}, student.model ${model} wants one of ${backbones.join(', ')}`,
    },
  ];
}
