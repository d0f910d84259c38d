// What an installed package would run: the compiled command line, without tsx. A simulated teacher
// must become ready, serve its metrics and end well on SIGTERM.
//   node .ci/compiledTeacher.mjs        after npm run build
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const LIMIT_MS = 60_000;
const MAIN = new URL('../dist/services/cli/main.js', import.meta.url).href;
// No --input-type=module: a thread inherits its process' flags, and fails on that one.
const SCRIPT = `import('${MAIN}').then(async ({ main }) => {
  process.exit(await main(process.argv.slice(1)));
});`;
const ARGS = ['teacher', '--simulate', '--port', '0', '--metrics-port', '0'];

const teacher = spawn(process.execPath, ['--eval', SCRIPT, '--', ...ARGS], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const late = setTimeout(() => {
  process.stderr.write(`not done after ${LIMIT_MS / 1000} s\n`);
  teacher.kill('SIGKILL');
}, LIMIT_MS);
const ended = once(teacher, 'close');
const url = await metricsUrl();
const metrics = await (await fetch(url)).text();
if (!/^cirkd_teacher_streams 0$/m.test(metrics)) throw new Error(`metrics:\n${metrics}`);
teacher.kill('SIGTERM');
const [code, signal] = await ended;
clearTimeout(late);
if (code !== 0) throw new Error(`the teacher ended with ${signal ?? code}, wanted 0`);

async function metricsUrl() {
  let said = '';
  for await (const text of teacher.stdout.setEncoding('utf8')) {
    process.stdout.write(text);
    said += text;
    const found = /^teacher ready: .* metrics (\S+),/m.exec(said);
    if (found?.[1]) {
      return found[1];
    }
  }
  throw new Error('the teacher ended before it was ready');
}
