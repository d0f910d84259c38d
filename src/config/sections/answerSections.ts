/** Sections about answers that are computed once (docs/cache.md). */
import { count, field, positiveCount, section, text } from '../fields.js';

const directory = (doc: string) => field(text().nullable().default(null), doc);

const maxMiB = () =>
  field(
    positiveCount().max(67_108_864).default(16_384),
    'Bound on the answers in that folder; the least recently used are removed first.',
    { unit: 'MiB' },
  );

export const teacherStore = section(
  "Answers kept on this machine's disk: a resumed or repeated run doesn't ask for them again (docs/cache.md).",
  {
    directory: directory(
      'Folder of the answers, which students and teachers may share; null: none are kept.',
    ),
    maxMiB: maxMiB(),
  },
);

export const answerCacheSection = section(
  'Answers kept for images that come again, from any student (docs/cache.md).',
  {
    memoryMiB: field(
      count().max(67_108_864).default(0),
      'Answers kept in memory; 0: none. Useful if students train on the same crops, or on the same ones in every epoch.',
      { unit: 'MiB' },
    ),
    directory: directory(
      'Folder of answers kept on disk, which teachers and students may share; null: none are kept.',
    ),
    maxMiB: maxMiB(),
  },
);
