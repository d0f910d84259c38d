/** The student trainer's config: its sections, and the checks that no single key has. */
import type { ConfigSchema } from './fields.js';
import { studentCrossFaults } from './studentChecks.js';
import {
  type StudentConfig,
  type StudentConfigInput,
  studentSections,
} from './sections/studentSections.js';

export type { StudentConfig, StudentConfigInput };

export const studentSchema: ConfigSchema<StudentConfig> = {
  service: 'student',
  root: studentSections,
  crossFaults: studentCrossFaults,
  retired: { 'evaluate.mode': 'whole' },
};
