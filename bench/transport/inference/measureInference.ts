/** Our teacher over Distill and over the Open Inference Protocol, and the real Triton, in turns. */
import type { PeerServer } from '../../../test/support/peers/oip/peerServer.js';
import { startTriton } from '../../../test/support/peers/oip/tritonServer.js';
import { engineOnCpu, type MeasuredProcess, startSide } from '../../support/measuredProcess.js';
import { groupCpuMs } from '../../support/processorTime.js';
import { inRounds } from '../../support/rounds.js';
import type { AnswerSize } from '../cases.js';
import type { LoadAnswer, LoadRequest } from './studentClient.js';
import {
  AHEAD,
  answerBytesOf,
  fixedModel,
  MODEL,
  namedShapes,
  SIZES,
  sizeName,
} from './inferenceCases.js';
import {
  DISTILL,
  type InferenceFound,
  type InferenceSide,
  OURS,
  OURS_STREAM,
  STUDENT,
  TRITON,
  TRITON_STREAM,
  TRITON_STUDENT,
} from './inferenceResults.js';

export interface InferenceMeasurement {
  readonly rounds: number;
  /** Of a round with many images under way; of small answers SMALL_ANSWERS times as many. */
  readonly answers: number;
  /** Folder of tritonclient's packages. */
  readonly tritonclient: string;
  readonly say: (text: string) => void;
}

/** Threads of the side that has just run go on for a moment. */
const PAUSE_MS = 100;
const SMALL_BYTES = 2 ** 20;

/**
 * A round of small answers has to last: processor time is known in steps of 10 ms, and Node.js compiles what
 * is busy only after some hundred calls.
 */
const SMALL_ANSWERS = 40;

/**
 * Rounds that don't count. A server's first 1500 calls take it two to four times as long as the later ones; and
 * large answers come too slowly for that to show.
 */
const WARM_UP = { large: 1, small: 3 };

interface Side {
  readonly name: string;
  readonly request: LoadRequest;
  readonly client: MeasuredProcess;
  /** Of the server. */
  readonly cpuMs: () => number;
}

/** What runs, for the end. */
class Opened {
  readonly #closing: (() => Promise<void>)[] = [];

  process(opened: MeasuredProcess): MeasuredProcess {
    this.#closing.unshift(() => opened.close());
    return opened;
  }

  async peer(starting: Promise<PeerServer>): Promise<PeerServer> {
    const server = await starting;
    this.#closing.unshift(() => server.close());
    return server;
  }

  /** Clients before the servers that they ask. */
  async close(): Promise<void> {
    for (const close of this.#closing) await close();
  }
}

export async function measureInference(of: InferenceMeasurement): Promise<InferenceFound> {
  const versions = new Set<string>();
  const sides: InferenceSide[] = [];
  for (const size of SIZES) sides.push(...(await measureSize(size, of, versions)));
  return { sides, versions: [...versions] };
}

async function measureSize(
  size: AnswerSize,
  of: InferenceMeasurement,
  versions: Set<string>,
): Promise<InferenceSide[]> {
  const { rounds, say } = of;
  const opened = new Opened();
  try {
    const sides = await sidesOf(size, of, opened, versions);
    const spent = await inRounds(
      [sides],
      {
        ...{ rounds, warmUp: WARM_UP[isSmall(size) ? 'small' : 'large'], pauseMs: PAUSE_MS },
        after: (_, round) => say(`${sizeName(size)}: round ${round} of ${rounds}`),
      },
      async ({ client, request, cpuMs }) => {
        const [clientBefore, serverBefore] = [client.cpuMs(), cpuMs()];
        const answer = await client.ask<LoadAnswer>(request);
        const serverCpuMs = cpuMs() - serverBefore;
        return { ...answer, serverCpuMs, cpuMs: serverCpuMs + client.cpuMs() - clientBefore };
      },
    );
    return sides.map(({ name, request }, index) => ({
      ...{ name, size, ahead: request.ahead, answers: request.answers },
      answerBytes: answerBytesOf(size),
      ms: spent[index]!.map(({ ms }) => ms),
      cpuMs: spent[index]!.map((each) => each.cpuMs),
      serverCpuMs: spent[index]!.map((each) => each.serverCpuMs),
      latenciesMs: spent[index]!.flatMap(({ latenciesMs }) => latenciesMs),
    }));
  } finally {
    await opened.close();
  }
}

const isSmall = (size: AnswerSize) => answerBytesOf(size) < SMALL_BYTES;

async function sidesOf(
  size: AnswerSize,
  { answers, tritonclient }: InferenceMeasurement,
  opened: Opened,
  versions: Set<string>,
): Promise<Side[]> {
  const text = JSON.stringify(size);
  const teacher = opened.process(
    startSide(import.meta.url, '../answerServer.ts', [text], engineOnCpu()),
  );
  const { port } = await teacher.first<{ port: number }>();
  const triton = await opened.peer(startTriton([fixedModel(size)]));
  versions.add('Triton 2.51 (Python backend)');
  const client = async (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => {
    const started = opened.process(startSide(import.meta.url, file, args, env));
    versions.add((await started.first<{ engine: string }>()).engine);
    return started;
  };
  const shapes = JSON.stringify(namedShapes(size));
  const python = { ...process.env, PYTHONPATH: tritonclient, PYTHONDONTWRITEBYTECODE: '1' };
  const loader = (address: string) => {
    const args = [address, MODEL, String(size.height), String(size.width), shapes];
    return client('inferClient.py', args, python);
  };
  const address = `127.0.0.1:${port}`;
  const ours = () => teacher.cpuMs();
  const theirs = () => groupCpuMs(triton.pid);
  const [toOurs, toTriton] = [await loader(address), await loader(triton.address)];
  const student = (where: string) => client('studentClient.ts', [where, text], engineOnCpu());
  const distill = await student(address);
  const asksOurs = await student(`oip://${address}/${MODEL}`);
  const asksTriton = await student(`oip://${triton.address}/${MODEL}`);
  const many = isSmall(size) ? SMALL_ANSWERS * answers : answers;
  return AHEAD.flatMap((ahead) => {
    const request = (stream: boolean): LoadRequest => ({
      ...{ ahead, stream },
      answers: ahead === 1 ? Math.ceil(many / 2) : many,
    });
    const side = (name: string, client: MeasuredProcess, cpuMs: () => number, stream = false) => ({
      ...{ name, client, cpuMs },
      request: request(stream),
    });
    return [
      side(DISTILL, distill, ours),
      side(STUDENT, asksOurs, ours),
      side(OURS, toOurs, ours),
      side(OURS_STREAM, toOurs, ours, true),
      side(TRITON_STUDENT, asksTriton, theirs),
      side(TRITON, toTriton, theirs),
      side(TRITON_STREAM, toTriton, theirs, true),
    ];
  });
}
