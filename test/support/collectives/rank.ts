/**
 * A process of a group in tests: reads one JSON command per line and answers each with a line.
 * Arguments: its rank, then every rank's host:port.
 */
import { closeSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { StartedReduce } from '../../../src/collectives/collective.js';
import { SERVER_VARIABLE, serverVariable } from '../../../src/collectives/serverDef.js';
import { TensorflowCollective } from '../../../src/collectives/tensorflowCollective.js';
import { float32, numTensors, readFloat32, scope } from '../../../src/tensor/index.js';
import { trainedStudent } from './trainedStudent.js';
import { bytesOf, sha256 as sha, valuesOf } from './values.js';

const [rankText = '0', ...addresses] = process.argv.slice(2);
const rank = Number(rankText);
process.env[SERVER_VARIABLE] = serverVariable(addresses, rank);

let group: TensorflowCollective | null = null;

/**
 * start: a reduction of each tensor in the background, and as many gathers meanwhile, or none; end: waits for all of
 * those; train: updates of a student.
 */
type Later = 'start' | 'end' | 'train';

interface Command {
  readonly call: 'join' | 'reduce' | 'gather' | 'bytes' | 'broadcast' | 'close' | 'rejoin' | Later;
  readonly sizes?: number[];
  readonly over?: 'sum' | 'mean';
  readonly timeoutMs?: number;
  readonly startTimeoutMs?: number;
  readonly lateMs?: number;
  readonly pieceBytes?: number;
  readonly times?: number;
  readonly gathers?: number;
  readonly overlap?: boolean;
}

let started: StartedReduce[] = [];

function start({ sizes = [], over = 'sum', gathers = 0 }: Command): unknown {
  return scope(() => {
    for (const size of sizes) {
      started.push(group!.startAllReduce([float32(valuesOf(rank, size), [size])], over));
    }
    const x = float32(valuesOf(rank, 7), [7]);
    const all = Array.from({ length: gathers }, () => bytesOf(readFloat32(group!.allGather(x))));
    return { started: started.length, sha: all.map(sha) };
  });
}

function end(): unknown {
  return scope(() => {
    const results = started.map((each) => bytesOf(readFloat32(each.end()[0]!)));
    started = [];
    return { sha: results.map(sha) };
  });
}

/** Joins and leaves again and again; how many threads and descriptors this process has afterwards (Linux). */
function rejoin({ times = 1, ...limits }: Command): unknown {
  for (let i = 0; i < times; i++) {
    joinWith(limits);
    group!.close();
    // Its reader closes it; here nobody reads.
    closeSync(group!.newsDescriptor);
  }
  const [threads, descriptors] = ['task', 'fd'].map((of) => readdirSync(`/proc/self/${of}`).length);
  return { threads, descriptors, tensors: numTensors() };
}

function joinWith(limits: Omit<Command, 'call'>): void {
  const { timeoutMs = 3000, startTimeoutMs = 60_000, lateMs = 60_000, pieceBytes } = limits;
  const pieces = pieceBytes === undefined ? {} : { pieceBytes };
  const given = { rank, addresses, timeoutMs, startTimeoutMs, lateMs, ...pieces };
  group = TensorflowCollective.join(given);
}

function run(command: Command): unknown {
  const { call, sizes = [], over = 'sum' } = command;
  if (call === 'rejoin') return rejoin(command);
  if (call === 'join') {
    joinWith(command);
    return { joined: group!.size };
  }
  if (call === 'start') return start(command);
  if (call === 'end') return end();
  if (call === 'train') return trainedStudent(rank, group!, command.overlap ?? true);
  const joined = group!;
  switch (call) {
    case 'reduce':
      return scope(() => {
        const given = sizes.map((size) => float32(valuesOf(rank, size), [size]));
        const results = joined.allReduce(given, over).map(readFloat32);
        return {
          sha: results.map((each) => sha(bytesOf(each))),
          first: [...results[0]!.slice(0, 8)],
        };
      });
    case 'gather':
      return scope(() => {
        const x = float32(valuesOf(rank, sizes[0]!), [sizes[0]!]);
        return { sha: sha(bytesOf(readFloat32(joined.allGather(x)))) };
      });
    case 'bytes': {
      const own = bytesOf(valuesOf(rank, sizes[0]! * rank)).slice(0, sizes[0]! * rank);
      const same = bytesOf(valuesOf(rank, sizes[0]!)).slice(0, sizes[0]!);
      return {
        parts: joined.allGatherBytes(own).map((part) => [part.length, sha(part)]),
        equal: joined.allGatherBytes(same, 'equal').map((part) => [part.length, sha(part)]),
      };
    }
    case 'broadcast': {
      const own = bytesOf(valuesOf(rank, sizes[0]!));
      return { sha: sha(joined.broadcast(own)) };
    }
    case 'close':
      joined.close();
      return { closed: true, tensors: numTensors(), use: joined.takeUse() };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const begin = performance.now();
  let answer: unknown;
  try {
    answer = run(JSON.parse(line) as Command);
  } catch (error) {
    answer = { error: (error as Error).name, message: (error as Error).message };
  }
  const ms = performance.now() - begin;
  process.stdout.write(`${JSON.stringify({ ...(answer as object), ms })}\n`);
}
process.exit(0);
