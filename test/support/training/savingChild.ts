/**
 * Saves checkpoints until it is killed. argv: folder, and how it ends: "mid-file" kills itself
 * inside the second file of step 2, "loop" saves step after step and says so on stdout.
 */
import { saveCheckpoint } from '../../../src/run/checkpoint.js';
import type { NamedTensor } from '../../../src/wire/safetensors.js';
import { float32Tensor } from '../../../src/wire/safetensors.js';

const [folder = '', mode = ''] = process.argv.slice(2);

const tensor = (step: number) => float32Tensor(new Float32Array(300_000).fill(step), [300_000]);

/** Whole for the header, deadly for the data. */
function deadlyTensor(): NamedTensor {
  const { data, ...rest } = tensor(2);
  let reads = 0;
  return {
    ...rest,
    get data() {
      reads += 1;
      if (reads > 1) process.kill(process.pid, 'SIGKILL');
      return data;
    },
  };
}

function save(step: number, second: NamedTensor): Promise<string> {
  return saveCheckpoint(
    folder,
    {
      step,
      packageVersion: '0.0.0',
      teacherDigest: null,
      datasetHash: 'x',
      config: {},
      state: {},
      files: {
        'a.safetensors': { tensors: new Map([['w', tensor(step)]]) },
        'b.safetensors': {
          tensors: new Map([
            ['v', tensor(step)],
            ['w', second],
          ]),
        },
      },
    },
    2,
  );
}

if (mode === 'mid-file') {
  await save(1, tensor(1));
  await save(2, deadlyTensor());
} else {
  for (let step = 1; ; step++) {
    await save(step, tensor(step));
    process.stdout.write(`${step}\n`);
  }
}
