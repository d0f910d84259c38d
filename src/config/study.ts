/** A study's file: the students that it compares, their seeds, and their teachers. */
import { z } from 'zod';
import type { ConfigSchema, CrossFault } from './fields.js';
import { count, field, positiveCount, section, text } from './fields.js';
import { teacherAddress } from './sections/addressFields.js';

const configFile = (doc: string) => field(text(), doc, { isPath: true });

const settings = (doc: string) => field(z.array(text()).default([]), doc);

const variant = field(
  z.strictObject({
    title: field(
      text().nullable().default(null),
      'Name of the variant in tables and charts; null: NAME.',
    ),
    files: field(
      z.array(configFile('One file.')).default([]),
      'Config files on top of base, as several `--config` have it.',
    ),
    set: settings('Keys on top of all files, each as `--set` has it: key.path=value.'),
  }),
  'One kind of student.',
);

const teacherSection = section('How the students get their teachers.', {
  addresses: field(
    z.array(teacherAddress).default([]),
    "Addresses of a fleet that runs already; with neither these nor a checkpoint, base's own teacher.addresses.",
  ),
  checkpoint: field(
    text().nullable().default(null),
    'Model file that the study serves with teachers of its own; null: none.',
    { isPath: true },
  ),
  count: field(positiveCount().max(64).default(1), 'Number of own teachers.'),
  threads: field(
    positiveCount().max(1024).default(1),
    'Threads of each own teacher inside one operation. Affects the last bits of sums.',
  ),
});

const evaluateSection = section('How the students are judged.', {
  val: field(
    z.record(z.string(), z.unknown()).nullable().default(null),
    "The validation set, in place of base's data.val; null: that one.",
    { wanted: 'a section as data.val of the student has it, or null' },
  ),
  everySteps: field(
    count().nullable().default(null),
    "Steps between evaluations, for the curves; 0: only at the end, null: base's run.evaluateEverySteps.",
    { unit: 'steps' },
  ),
  pictures: field(count().max(16).default(4), 'Images of the validation set in the report.'),
});

const studySections = z.strictObject({
  base: field(
    z.array(configFile('One file.')).min(1),
    'Config files of all students, one on top of the other as several `--config` have it. Paths are relative to the folder that the command runs in.',
  ),
  set: settings('Keys of all students on top of all files, each as `--set` has it.'),
  teacher: teacherSection,
  seeds: field(
    z.array(z.number().int().min(0).max(0xffffffff)).min(1),
    "Seeds of each variant's runs; the runs of a seed are compared with one another.",
  ),
  variants: field(
    z.record(z.string(), variant),
    'The students that are compared, by name, in the order of the tables.',
    { wanted: 'a section of names, each with a section {title, files, set}' },
  ),
  baseline: field(text(), 'The variant that the others are compared with.'),
  evaluate: evaluateSection,
  parallel: field(
    positiveCount().max(1024).nullable().default(null),
    "Runs at once; null: the cores divided by a run's threads.",
  ),
});

export type StudyConfig = z.infer<typeof studySections>;

/** Of the names of runs' folders, which have the seed behind it. */
const VARIANT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function crossFaults(config: StudyConfig): CrossFault[] {
  const { variants, baseline, seeds, teacher } = config;
  const names = Object.keys(variants);
  const faults: CrossFault[] = names
    .filter((name) => !VARIANT_NAME.test(name))
    .map((name) => ({
      keys: [`variants.${name}`],
      message: 'wanted a name of 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or a digit',
    }));
  if (names.length === 0)
    faults.push({ keys: ['variants'], message: 'got none, wanted one or more' });
  if (!Object.hasOwn(variants, baseline)) {
    const message = `got ${JSON.stringify(baseline)}, wanted one of variants: ${names.join(', ')}`;
    faults.push({ keys: ['baseline', 'variants'], message });
  }
  const twice = seeds.find((seed, i) => seeds.indexOf(seed) !== i);
  if (twice !== undefined) faults.push({ keys: ['seeds'], message: `got ${twice} twice` });
  if (teacher.checkpoint !== null && teacher.addresses.length > 0) {
    const message = 'got both addresses and checkpoint, wanted one of them';
    faults.push({ keys: ['teacher.checkpoint', 'teacher.addresses'], message });
  }
  return faults;
}

export const studySchema: ConfigSchema<StudyConfig> = {
  service: 'study',
  root: studySections,
  crossFaults,
};
