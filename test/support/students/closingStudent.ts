/** A process that asks the teachers of its arguments for two images and closes: it ends only if nothing of the client is left. */
import { connectTeachers } from '../../../src/stream/client/remoteTeacher.js';
import { assertAnswers, imageOf, studentOptions } from './scriptedStudent.js';

const teacher = await connectTeachers(studentOptions(process.argv.slice(2)).options);
for (const image of [imageOf(1), imageOf(2)]) {
  assertAnswers(await teacher.request(image, AbortSignal.timeout(60_000)), image);
}
await teacher.close();
