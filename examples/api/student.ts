// A student of the teachers that are named:  node student.js 127.0.0.1:50051 ...
import { exitCodeOf, runStudent, studentConfig } from 'cirkd';

const scenes = { kind: 'synthetic', height: 64, width: 128 } as const;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
try {
  const config = studentConfig({
    data: {
      train: { ...scenes, samples: 40, seed: 1 },
      val: { ...scenes, samples: 4, seed: 2 },
      crop: { height: 64, width: 128 },
    },
    student: { model: 'psp_mobile', backbone: 'mobilenetv2', widthMultiplier: 0.25 },
    teacher: { addresses: process.argv.slice(2) },
    train: { steps: 4, batchSize: 2 },
    metrics: { port: null },
  });
  const { ended, folder } = await runStudent(config, { stop: stop.signal });
  console.log(`${ended}: ${folder}`);
} catch (error) {
  console.error(error);
  process.exitCode = exitCodeOf(error);
}
