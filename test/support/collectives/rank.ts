/**
 * A process of a group in tests: reads one JSON command per line and answers each with a line.
 * Arguments: its rank, then every rank's host:port.
 */
import { createInterface } from 'node:readline';
import { serverVariable, SERVER_VARIABLE } from '../../../src/collectives/serverDef.js';
import { TensorflowCollective } from '../../../src/collectives/tensorflowCollective.js';
import { float32, numTensors, readFloat32, scope } from '../../../src/tensor/index.js';
import { bytesOf, sha256 as sha, valuesOf } from './values.js';

const [rankText = '0', ...addresses] = process.argv.slice(2);
const rank = Number(rankText);
process.env[SERVER_VARIABLE] = serverVariable(addresses, rank);

let group: TensorflowCollective | null = null;

interface Command {
  readonly call: 'join' | 'reduce' | 'gather' | 'bytes' | 'broadcast' | 'close';
  readonly sizes?: number[];
  readonly over?: 'sum' | 'mean';
  readonly timeoutMs?: number;
  readonly startTimeoutMs?: number;
  readonly lateMs?: number;
}

function run({ call, sizes = [], over = 'sum', ...limits }: Command): unknown {
  if (call === 'join') {
    const { timeoutMs = 3000, startTimeoutMs = 60_000, lateMs = 60_000 } = limits;
    group = TensorflowCollective.join({ rank, addresses, timeoutMs, startTimeoutMs, lateMs });
    return { joined: group.size };
  }
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
      return { parts: joined.allGatherBytes(own).map((part) => [part.length, sha(part)]) };
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
