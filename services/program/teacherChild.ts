/** A command's own teacher: `cirkd teacher` as a process of its own, ready to serve. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { DEFAULT_MAX_STREAMS } from '../../src/config/teacher.js';
import { type Child, ChildFailedError, type Children } from './children.js';

/** Starting, loading and warming up takes seconds, but longer on a busy machine. */
const READY_TIMEOUT_MS = 120_000;
const READY_LINE = /^teacher ready: grpc (\S+), metrics (\S+), model (.+), digest (\S+)$/m;
/** Number of log lines shown when the teacher fails. */
const LINES_SHOWN = 15;

export interface TeacherChild {
  /** host:port */
  readonly address: string;
  readonly metricsUrl: string;
  readonly model: string;
  readonly digest: string;
  /** Rejects with ChildFailedError once the teacher ends unasked. */
  readonly died: Promise<never>;
}

export interface TeacherChildOptions {
  readonly modelFile: string;
  /** [height, width] of the students' crops. */
  readonly warmUp: readonly [number, number];
  /** Threads within one operation; default: all cores. */
  readonly threads?: number;
  /** How many use it at once; default: as many as a teacher takes by default. */
  readonly students?: number;
  /** File for the teacher's standard error. */
  readonly logFile: string;
  readonly stop: AbortSignal;
}

/**
 * Resolves when the teacher reports that it is ready. Throws ChildFailedError with the end of its log
 * if it ends or takes too long, or the reason of `stop`.
 */
export async function startTeacher(
  children: Children,
  { modelFile, warmUp, threads = 0, students = 0, logFile, stop }: TeacherChildOptions,
): Promise<TeacherChild> {
  const log = openSync(logFile, 'w');
  const child = children.start(
    [
      ...['teacher', '--checkpoint', modelFile, '--port', '0', '--metrics-port', '0'],
      ...['--set', `warmUp=${JSON.stringify([warmUp])}`, '--set', `threads=${threads}`],
      ...['--set', 'log.format=text', '--set', `limits.maxStreams=${maxStreams(students)}`],
    ],
    ['ignore', 'pipe', log],
  );
  closeSync(log);
  const died = child.ended.then((end): never => {
    throw new ChildFailedError('the teacher', end, lastLines(logFile));
  });
  // Avoids an unhandled rejection when the command itself ends the teacher.
  died.catch(() => {});
  const line = await Promise.race([readyLine(child, logFile, stop), died]);
  const [, address = '', metricsUrl = '', model = '', digest = ''] = line;
  return { address, metricsUrl, model, digest, died };
}

/** A student that connects again may have two streams for a moment. */
const maxStreams = (students: number) => Math.max(DEFAULT_MAX_STREAMS, 2 * students);

function readyLine(child: Child, logFile: string, stop: AbortSignal): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      const seconds = READY_TIMEOUT_MS / 1000;
      reject(new Error(`the teacher was not ready in ${seconds} s:\n${lastLines(logFile)}`));
    }, READY_TIMEOUT_MS);
    const onStop = () => reject(stop.reason);
    stop.addEventListener('abort', onStop, { once: true });
    child.ended
      .catch(() => {})
      .finally(() => {
        clearTimeout(late);
        stop.removeEventListener('abort', onStop);
      });
    let text = '';
    (child.process.stdout as Readable).setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const found = READY_LINE.exec(text);
      if (found === null) return;
      clearTimeout(late);
      stop.removeEventListener('abort', onStop);
      resolve(found);
    });
  });
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LINES_SHOWN).join('\n');
}
