/** Reports TensorFlow's version and speed; run in a child process of doctor, never in doctor itself. */
import type { Bfloat16Products } from '../../../src/tensor/index.js';
import { availableCores } from '../../../src/threads/availableCores.js';

export interface Probe {
  readonly tensorflow: string;
  readonly tfjs: string;
  readonly device: 'cpu' | 'gpu';
  readonly intraOpThreads: number;
  /** Best of a few products of two SIZE × SIZE float32 matrices, in 10⁹ operations per second. */
  readonly gflops: number;
  /** What computes the products of a teacher with compute: bfloat16. */
  readonly bfloat16: Bfloat16Products;
}

const SIZE = 1024;
const ROUNDS = 8;

export async function probe(): Promise<Probe> {
  const { bfloat16Products, engineInfo, float32, ops, readScalar, scope } = await import(
    '../../../src/tensor/index.js'
  );
  const values = Float32Array.from({ length: SIZE * SIZE }, (_, index) => (index % 7) / 7);
  let bestNs = Number.POSITIVE_INFINITY;
  scope(() => {
    const a_NN = float32(values, [SIZE, SIZE]);
    for (let round = 0; round < ROUNDS; round++) {
      const started = process.hrtime.bigint();
      const product_NN = ops.matMul(a_NN, a_NN);
      readScalar(ops.sum(product_NN, [0, 1])); // waits for the product
      bestNs = Math.min(bestNs, Number(process.hrtime.bigint() - started));
    }
  });
  const threads = Number(process.env.TF_NUM_INTRAOP_THREADS);
  return {
    ...engineInfo(),
    intraOpThreads: threads > 0 ? threads : availableCores(),
    gflops: (2 * SIZE ** 3) / bestNs,
    bfloat16: bfloat16Products(),
  };
}
