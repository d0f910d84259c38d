/** The inputs of a point, the same for both sides: recipe values (golden/README.md, section 2). */
import { recipeValues } from '../../src/conformance/recipe.js';
import { fill, float32, type Tensor } from '../../src/tensor/index.js';
import { BANK_ROWS, type Point, rowsOf } from './points.js';

const SALT = 'bench/losses';

export interface Inputs {
  /** float32 [N, C], raw rows. */
  readonly student_NC: Tensor;
  /** float32 [N, D], unit rows. */
  readonly teacher_ND: Tensor;
  /** float32 [N]. */
  readonly norm_N: Tensor;
  /** float32 [M, D], unit rows; for the memory losses only. */
  readonly banks_MD: readonly Tensor[];
}

export function makeInputs(point: Point): Inputs {
  const rows = rowsOf(point);
  const { student, teacher } = point.channels;
  const banks = point.loss === 'memory' ? Object.entries(BANK_ROWS) : [];
  return {
    student_NC: float32(values('student', rows, student), [rows, student]),
    teacher_ND: float32(unitValues('teacher', rows, teacher), [rows, teacher]),
    norm_N: fill([rows], 1),
    banks_MD: banks.map(([name, count]) =>
      float32(unitValues(`bank/${name}`, count, teacher), [count, teacher]),
    ),
  };
}

export function values(name: string, rows: number, channels: number): Float32Array {
  return recipeValues({ salt: SALT, name, shape: [rows, channels], low: -1, high: 1 });
}

/** In place: a second array would be in the memory that is compared with. */
export function unitValues(name: string, rows: number, channels: number): Float32Array {
  const data = values(name, rows, channels);
  for (let begin = 0; begin < data.length; begin += channels) {
    let squares = 0;
    for (let i = begin; i < begin + channels; i++) squares += data[i]! ** 2;
    const norm = Math.sqrt(squares);
    for (let i = begin; i < begin + channels; i++) data[i]! /= norm;
  }
  return data;
}
