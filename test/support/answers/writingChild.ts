/**
 * Stores answers until it is killed, and says after every few how many there are. argv: folder, number of
 * the first answer.
 */
import { AnswerStore } from '../../../src/answers/store/answerStore.js';
import { silentAnswerHooks } from '../../../src/answers/answerHooks.js';
import { answer, keyOf } from './madeAnswers.js';

const [directory = '', first = '0'] = process.argv.slice(2);
const UNUSED = keyOf(0xffff_ffff);
/** About a quarter of a MiB each, so that a kill often hits the middle of one. */
const POSITIONS = 5000;

const store = await AnswerStore.open({
  ...{ directory, maxBytes: 2 ** 30, hooks: silentAnswerHooks },
});
for (let n = Number(first); ; n++) {
  store.write(keyOf(n), answer(n, POSITIONS));
  // Waits for what was written before.
  if (n % 4 === 3) {
    await store.remove(UNUSED);
    process.stdout.write(`${n}\n`);
  }
}
