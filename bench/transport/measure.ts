/** All sides in turns, a few seconds a round. */
import { withOpened } from '../support/opened.js';
import { inRounds } from '../support/rounds.js';
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
  return withOpened(async (open) => {
    const cirkd = await open(Pair.cirkd(size));
    const bare = await open(Pair.bare());
    const less = await open(Pair.bare('less garbage'));
    const core = await open(Pair.core(grpcio));
    const sides = [...peers(measurement, { bare, less, core }), ...ways(measurement, cirkd)];
    const fp32Bytes = bytesOfAnswer(size, WIRE_CASES[0]!);
    const spent = await inRounds(
      [sides],
      {
        ...{ rounds, warmUp: 1, pauseMs: PAUSE_MS },
        after: (_, round) => say(`round ${round} of ${rounds}`),
      },
      async ({ pair, request }) => {
        const before = pair.cpuMs();
        const ms = await pair.run(request);
        return { ms, cpuMs: pair.cpuMs() - before };
      },
    );
    const results = sides.map(({ name, answers, answerBytes }, index) => ({
      ...{ name, answers, answerBytes, fp32Bytes },
      ms: spent[index]!.map((each) => each.ms),
      cpuMs: spent[index]!.map((each) => each.cpuMs),
    }));
    return { sides: results, core: core.engine ?? 'grpcio' };
  });
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
