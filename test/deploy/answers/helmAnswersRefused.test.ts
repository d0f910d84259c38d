/** Answers kept on disk, in the chart: values that contradict each other are refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { template } from '../../support/deploy/chart.js';

const REFUSED: readonly (readonly [set: string, said: RegExp])[] = [
  ['teacher.cache.size=20 GB', /cache\/size.*pattern/s],
  ['teacher.cache.volume=ssd', /'volume' not allowed/],
  ['teacher.cache.accessMode=ReadOnlyMany', /cache\/accessMode/],
  ['teacher.config.cache.directory=/tmp/answers', /'directory' not allowed/],
  ['student.store.claim=My Claim', /store\/claim.*pattern/s],
  ['student.teacherAddresses={oip://triton:8001/}', /teacherAddresses.*pattern/s],
  [
    'teacher.cache.enabled=true,teacher.enabled=false,student.enabled=true',
    /teacher\.cache\.enabled: true without teacher\.enabled or teacher\.sidecar\.enabled/,
  ],
  [
    'teacher.cache.enabled=true,teacher.cache.claim=a,teacher.cache.storageClass=ssd',
    /teacher\.cache\.claim, teacher\.cache\.storageClass: a and ssd given, wanted one/,
  ],
  [
    'teacher.cache.enabled=true,teacher.cache.claim=a,teacher.cache.accessMode=ReadWriteOnce,teacher.replicas=1',
    /teacher\.cache\.accessMode: ReadWriteOnce given for the claim a, which up to 2 pods mount.*ReadWriteMany/,
  ],
  [
    'teacher.cache.enabled=true,teacher.cache.claim=a,teacher.cache.size=1Mi',
    /teacher\.cache\.size: 1Mi given, wanted at least/,
  ],
  [
    'teacher.cache.enabled=true,teacher.config.cache.maxMiB=20000',
    /teacher\.config\.cache\.maxMiB: 20000 given, teacher\.cache\.size 20Gi holds at most 17347/,
  ],
  [
    // The size alone: /tmp counts, too.
    'teacher.cache.enabled=true,teacher.resources.limits.ephemeral-storage=20Gi',
    /limits\.ephemeral-storage: 20Gi given, less than teacher\.cache\.size, 20Gi, and 1Gi/,
  ],
  ...(
    [
      ['student.run.claim=mine', 'mine', /mine given, which is student\.run\.claim/],
      ['', 'dist-student-runs', /which is the claim that is created for the runs/],
      ['student.dataset.claim=mine', 'mine', /mine given, which is student\.dataset\.claim/],
      ['student.weights.claim=mine', 'mine', /mine given, which is student\.weights\.claim/],
      ['', 'cirkd-teacher-weights', /which is teacher\.weights\.claim/],
    ] as const
  ).flatMap(([set, claim, said]) =>
    (
      [
        ['student.store', ''],
        ['teacher.cache', ''],
        ['teacher.cache', 'teacher.enabled=false,teacher.sidecar.enabled=true'],
      ] as const
    ).map(
      ([key, more]) =>
        [
          ['student.enabled=true', `${key}.enabled=true,${key}.claim=${claim}`, set, more]
            .filter((one) => one !== '')
            .join(','),
          new RegExp(`${key.replace('.', '\\.')}\\.claim: .*${said.source}`),
        ] as const,
    ),
  ),
  ['student.store.writers=0', /store\/writers.*minimum/s],
  [
    'teacher.cache.enabled=true,teacher.cache.claim=a,teacher.cache.accessMode=ReadWriteOnce,teacher.replicas=1,teacher.maxSurge=1%',
    /teacher\.cache\.accessMode: .* up to 2 pods mount/,
  ],
  ['student.store.enabled=true', /student\.store\.enabled: true without student\.enabled/],
  [
    'student.store.enabled=true,student.enabled=true,teacher.enabled=false',
    /student\.store\.enabled: true without a teacher/,
  ],
  [
    'student.store.enabled=true,student.enabled=true,student.store.claim=a,student.store.storageClass=ssd',
    /student\.store\.claim, student\.store\.storageClass: a and ssd given/,
  ],
  [
    'student.store.enabled=true,student.enabled=true,student.config.teacher.store.directory=/runs/a',
    /student\.config\.teacher\.store\.directory: \/runs\/a given with student\.store\.enabled/,
  ],
  [
    'student.store.enabled=true,student.enabled=true,student.config.teacher.store.maxMiB=20000',
    /teacher\.store\.maxMiB.*: 20000 given, student\.store\.size 20Gi holds at most 17347/,
  ],
];

for (const [set, said] of REFUSED) {
  test(`refused: ${set}`, async () => {
    const { code, output } = await template(['--set', set]);
    assert.notEqual(code, 0, output);
    assert.match(output, said);
  });
}
