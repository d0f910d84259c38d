/**
 * A SavedModel tried out in a process of its own. TensorFlow checks a graph when it is loaded, but not
 * all of it: of some that are damaged it doesn't say so, but ends the process.
 */
import { spawn } from 'node:child_process';
import { CheckpointError } from '../wire/checkpointError.js';
import { withoutControls } from '../wire/printable.js';

const ENTRY = './savedModelTrial.ts';
/** What is kept of the process' words. */
const TAIL_BYTES = 64 * 1024;

/**
 * Takes as long as loading it does, and a start of Node.js and TensorFlow.
 *
 * @throws CheckpointError where TensorFlow ends the process; an error of TensorFlow's is not told: who
 *   loads the graph next gets it
 */
export async function tryApart(directory: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(directory)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-TAIL_BYTES);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...end) => resolve(end));
  });
  if (code === 0) return;
  if (signal === null) throw new Error(`a trial of the SavedModel ended with ${code}:\n${words}`);
  // What TensorFlow calls fatal: "F0000 00:00:0 1 op_kernel.cc:1004] Check failed: …"
  const fatal = /^F\d{4} .*?\] (.*)$/m.exec(words)?.[1];
  const why = fatal === undefined ? '' : `: ${withoutControls(fatal.trim())}`;
  throw new CheckpointError(
    `TensorFlow breaks down over the graph (${signal}${why}): damaged, or of another TensorFlow`,
  );
}

/** Compiled, the entry is the .js file beside this one; else tsx compiles it. */
function program(directory: string): string {
  const here = import.meta.url;
  const isSource = here.endsWith('.ts');
  const entry = new URL(isSource ? ENTRY : ENTRY.replace(/\.ts$/, '.js'), here).href;
  const call = `tryOut(${JSON.stringify(directory)})`;
  const run = `const { tryOut } = await import(${JSON.stringify(entry)}); await ${call};`;
  if (!isSource) return run;
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  return `(await import(${tsx})).register(); ${run}`;
}
