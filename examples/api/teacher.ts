// A teacher in a process of its own, until SIGTERM:  node teacher.js [model.safetensors]
// Without a file it makes numbers up.
import { once } from 'node:events';
import { startTeacher, teacherConfig } from 'cirkd';

const [checkpoint = null] = process.argv.slice(2);
const config = teacherConfig({
  checkpoint,
  simulate: { enabled: checkpoint === null, classes: 12 },
  listen: { port: 0 },
  metrics: { port: 0 },
  log: { level: 'warn' },
});

const teacher = await startTeacher(config);
console.log(`${teacher.info.model} at ${teacher.address}, metrics at ${teacher.metricsUrl}`);
const end = await Promise.race([teacher.died, once(process, 'SIGTERM')]);
console.log(`closed: ${await teacher.close()}`);
if (end instanceof Error) throw end;
