/** The teachers that a study starts: `cirkd teacher` processes that serve one model file. */
import { join } from 'node:path';
import { startTeacher } from '../program/teacherChild.js';
import type { Children } from '../program/children.js';
import type { PlannedVariant, StudyPlan } from './plan.js';

export interface OwnTeachers {
  readonly addresses: readonly string[];
  readonly digest: string;
  /** Rejects with ChildFailedError when none is left. */
  readonly gone: Promise<never>;
}

/** Throws ChildFailedError if one doesn't start. */
export async function startOwnTeachers(
  { study: { teacher } }: StudyPlan,
  taught: readonly PlannedVariant[],
  options: {
    readonly folder: string;
    readonly children: Children;
    readonly stop: AbortSignal;
    /** Aborted when the study ends its teachers. */
    readonly over: AbortSignal;
    readonly say: (line: string) => void;
    /** How many use a teacher at once. */
    readonly students: number;
  },
): Promise<OwnTeachers> {
  const { folder, children, stop, over, say, students } = options;
  const { checkpoint, count, threads } = teacher;
  // The crops of most studies are equal; another size costs its first batch some time.
  const { height, width } = taught[0]!.config.data.crop;
  const started = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startTeacher(children, {
        modelFile: checkpoint!,
        warmUp: [height, width],
        threads,
        students,
        logFile: join(folder, `teacher-${i}.log`),
        stop,
      }),
    ),
  );
  const ends = started.map(({ died, address }) =>
    died.catch((error: Error) => {
      // Its last lines are shown if the study ends for it.
      if (!over.aborted) say(`lost ${address}: ${error.message.split(';')[0]}`);
      return error;
    }),
  );
  const gone = Promise.all(ends).then(([first]): never => {
    throw first;
  });
  // Avoids an unhandled rejection when the study itself ends them.
  gone.catch(() => {});
  const addresses = started.map(({ address }) => address);
  say(`${count === 1 ? 'teacher' : 'teachers'} ready: ${addresses.join(', ')}`);
  return { addresses, digest: started[0]!.digest, gone };
}
