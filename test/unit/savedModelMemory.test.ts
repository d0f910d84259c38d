/** Images that a graph refuses leak no memory, because a client may send many. */
// @own-process: measures the process' memory
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSavedModel } from '../../src/graphs/savedModel.js';
import { numTensors, zeros } from '../../src/tensor/index.js';

const TINY = fileURLToPath(new URL('../fixtures/savedModel/tiny', import.meta.url));
const MIB = 2 ** 20;

test('40 failing runs with 64 MiB each leak no memory', async () => {
  const graph = await openSavedModel(TINY);
  const fail = async () => {
    // 4 channels; the graph accepts 3.
    const image = zeros([1, 2048, 2048, 4]);
    await assert.rejects(graph.run(image, ['logits']), /input depth/);
    image.dispose();
  };
  await fail();
  const [rss, tensors] = [process.memoryUsage().rss, numTensors()];
  for (let round = 0; round < 40; round++) await fail();
  const grown = (process.memoryUsage().rss - rss) / MIB;
  assert.ok(grown < 300, `${grown} MiB more`);
  assert.equal(numTensors(), tensors);
  await graph.close();
});
