/**
 * Tries a SavedModel in a child process. TensorFlow checks a graph when loading it, but not completely: on
 * some damaged graphs it aborts the process instead of reporting an error.
 */
import { spawn } from 'node:child_process';
import { CheckpointError } from '../wire/checkpointError.js';
import { withoutControls } from '../wire/printable.js';

const ENTRY = './savedModelTrial.ts';
/** How much of the end of the child's standard error is kept. */
const TAIL_BYTES = 64 * 1024;

/**
 * Takes as long as starting Node.js and TensorFlow and loading the graph.
 *
 * @throws CheckpointError if TensorFlow aborts the process. Ordinary errors of TensorFlow aren't reported:
 *   they occur again when the graph is loaded in this process.
 */
export async function tryInChildProcess(directory: string): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(directory)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderrTail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-TAIL_BYTES);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...end) => resolve(end));
  });
  if (code === 0) return;
  if (signal === null) {
    throw new Error(`a trial of the SavedModel ended with ${code}:\n${stderrTail}`);
  }
  // TensorFlow's fatal log line: "F0000 00:00:0 1 op_kernel.cc:1004] Check failed: …"
  const fatal = /^F\d{4} .*?\] (.*)$/m.exec(stderrTail)?.[1];
  const why = fatal === undefined ? '' : `: ${withoutControls(fatal.trim())}`;
  throw new CheckpointError(
    `TensorFlow aborts on the graph (${signal}${why}): damaged, or of another TensorFlow`,
  );
}

/** In a compiled tree the entry is the .js file next to this one; otherwise tsx compiles it. */
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
