/** All sides in turns, a few seconds a round. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type AnswerSize, bytesOfAnswer, caseName, messagesOfAnswer, WIRE_CASES } from './cases.js';
import { Pair } from './pair.js';
import { BARE, BARE_LESS_GARBAGE, CORE, CORE_WHOLE, type SideResult } from './results.js';

export interface Measurement {
  readonly size: AnswerSize;
  readonly rounds: number;
  /** fp32 answers of a round; of smaller ones as many more as they are smaller, up to four times. */
  readonly answers: number;
  /** Folder of grpcio's packages. */
  readonly grpcio: string;
  readonly say: (text: string) => void;
}

/** Threads of the side that has just run go on for a moment. */
const PAUSE_MS = 100;

interface Side {
  readonly name: string;
  readonly pair: Pair;
  readonly request: object;
  readonly answers: number;
  readonly answerBytes: number;
}

export interface Measured {
  readonly sides: SideResult[];
  /** What the peer in Python says that it is. */
  readonly core: string;
}

export async function measureTransport(measurement: Measurement): Promise<Measured> {
  const { size, rounds, grpcio, say } = measurement;
  const pairs: Pair[] = [];
  const open = async (starting: Promise<Pair>) => {
    const pair = await starting;
    pairs.push(pair);
    return pair;
  };
  try {
    const cirkd = await open(Pair.cirkd(size));
    const bare = await open(Pair.bare());
    const less = await open(Pair.bare('less garbage'));
    const core = await open(Pair.core(grpcio));
    const sides = [...peers(measurement, { bare, less, core }), ...ways(measurement, cirkd)];
    const fp32Bytes = bytesOfAnswer(size, WIRE_CASES[0]!);
    const results = sides.map(({ name, answers, answerBytes }) => ({
      ...{ name, answers, answerBytes, fp32Bytes },
      ms: [] as number[],
      cpuMs: [] as number[],
    }));
    // The first round warms up.
    for (let round = -1; round < rounds; round++) {
      for (const [index, side] of sides.entries()) {
        const before = side.pair.cpuMs();
        const ms = await side.pair.run(side.request);
        const cpuMs = side.pair.cpuMs() - before;
        await sleep(PAUSE_MS);
        if (round < 0) continue;
        results[index]!.ms.push(ms);
        results[index]!.cpuMs.push(cpuMs);
      }
      say(`round ${round + 1} of ${rounds}`);
    }
    return { sides: results, core: core.engine ?? 'grpcio' };
  } finally {
    await Promise.all(pairs.map((pair) => pair.close()));
  }
}

/** Bytes in the messages that the fp32 answers have here, and for the C core in whole answers, too. */
function peers(
  { size, answers }: Measurement,
  { bare, less, core }: Readonly<Record<'bare' | 'less' | 'core', Pair>>,
): Side[] {
  const answerBytes = bytesOfAnswer(size, WIRE_CASES[0]!);
  const messages = messagesOfAnswer(size, WIRE_CASES[0]!);
  const side = (name: string, pair: Pair, of: readonly number[]) => ({
    ...{ name, pair, answers, answerBytes },
    request: { messages: of, answers },
  });
  return [
    side(BARE, bare, messages),
    side(BARE_LESS_GARBAGE, less, messages),
    side(CORE, core, messages),
    side(CORE_WHOLE, core, [answerBytes]),
  ];
}

function ways({ size, answers }: Measurement, pair: Pair): Side[] {
  const whole = bytesOfAnswer(size, WIRE_CASES[0]!);
  return WIRE_CASES.map((wireCase) => {
    const answerBytes = bytesOfAnswer(size, wireCase);
    const images = answers * Math.min(4, Math.round(whole / answerBytes));
    return {
      ...{ name: caseName(wireCase), pair, answers: images, answerBytes },
      request: { wireCase, images },
    };
  });
}
