/** Recognises the forms of Mix Transformers by names, and converts weights from one form to another. */
import type { NamedTensor } from '../../../wire/safetensors.js';
import { MIT_FORMS, type MitForm, type MitFormName } from './mitForm.js';
import { MIT_SIZES } from './mit.js';

/** Tensors named without the backbone's prefix. */
type Named = ReadonlyMap<string, NamedTensor>;
type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** The form whose first embedding is among the names with this prefix; null: none. */
export function mitFormOf(names: readonly string[], prefix = ''): MitFormName | null {
  const all = new Set(names);
  const found = Object.entries(MIT_FORMS).find(([, form]) => all.has(prefix + firstWeight(form)));
  return found === undefined ? null : (found[0] as MitFormName);
}

function firstWeight(form: MitForm): string {
  return `${form.embedding(0)}.${form.embeddingNames.convolution}.weight`;
}

/** mit_b0 … mit_b5, from the stages' channels and numbers of blocks; null if it is none of them. */
export function detectMit(shapes: Shapes): string | null {
  const name = mitFormOf([...shapes.keys()]);
  if (name === null) return null;
  const form = MIT_FORMS[name];
  const channels = [0, 1, 2, 3].map((stage) => shapes.get(`${form.norm(stage)}.weight`)?.shape[0]);
  const blocks = [0, 1, 2, 3].map((stage) => {
    let count = 0;
    while (shapes.has(`${form.block(stage, count)}.${form.blockNames.norm1}.weight`)) count += 1;
    return count;
  });
  const found = Object.entries(MIT_SIZES).find(
    ([, size]) => size.channels.join() === channels.join() && size.blocks.join() === blocks.join(),
  );
  return found?.[0] ?? null;
}

/**
 * The weights of a backbone of `blocks` per stage in another form. Names that no form has, and tensors whose
 * packing doesn't fit, are passed on unchanged, so that the network that loads them can name them.
 */
export function convertMit(tensors: Named, from: MitForm, to: MitForm): Map<string, NamedTensor> {
  const rest = new Map(tensors);
  const converted = new Map<string, NamedTensor>();
  const move = (before: string, after: string, reshaped = (shape: readonly number[]) => shape) => {
    const tensor = rest.get(before);
    if (tensor === undefined) return;
    rest.delete(before);
    converted.set(after, { ...tensor, shape: reshaped(tensor.shape) });
  };
  const moveLayer = (before: string, after: string, reshaped?: typeof denseShape) => {
    move(`${before}.weight`, `${after}.weight`, reshaped && ((shape) => reshaped(shape, to)));
    move(`${before}.bias`, `${after}.bias`);
  };
  for (let stage = 0; stage < 4; stage++) {
    for (const layer of ['convolution', 'norm'] as const) {
      const path = (form: MitForm) => `${form.embedding(stage)}.${form.embeddingNames[layer]}`;
      moveLayer(path(from), path(to));
    }
    moveLayer(from.norm(stage), to.norm(stage));
    for (let index = 0; ; index++) {
      const [before, after] = [from.block(stage, index), to.block(stage, index)];
      if (!rest.has(`${before}.${from.blockNames.norm1}.weight`)) break;
      for (const layer of Object.keys(from.blockNames) as (keyof MitForm['blockNames'])[]) {
        const isDense = layer === 'dense1' || layer === 'dense2';
        const paths = [`${before}.${from.blockNames[layer]}`, `${after}.${to.blockNames[layer]}`];
        moveLayer(paths[0]!, paths[1]!, isDense ? denseShape : undefined);
      }
      repack(rest, converted, { form: from, path: before }, { form: to, path: after });
    }
  }
  return new Map([...converted, ...rest]);
}

/** [out, in] or [out, in, 1, 1]. */
function denseShape([outputs = 0, inputs = 0]: readonly number[], to: MitForm): readonly number[] {
  return to.denseAsConvolution ? [outputs, inputs, 1, 1] : [outputs, inputs];
}

interface Block {
  readonly form: MitForm;
  readonly path: string;
}

/** Query, key and value: takes the rows apart and puts them together as the other form has them. */
function repack(
  rest: Map<string, NamedTensor>,
  into: Map<string, NamedTensor>,
  a: Block,
  b: Block,
) {
  for (const kind of ['weight', 'bias'] as const) {
    const rows = new Map<string, NamedTensor>();
    for (const projection of a.form.projections) {
      const name = `${a.path}.${projection[kind]}`;
      const tensor = rest.get(name);
      const { parts } = projection;
      if (tensor === undefined || (tensor.shape[0] ?? 0) % parts.length !== 0) continue;
      rest.delete(name);
      for (const [index, part] of parts.entries()) {
        rows.set(part, rowsOf(tensor, index, parts.length));
      }
    }
    for (const projection of b.form.projections) {
      const parts = projection.parts.map((part) => rows.get(part));
      const present = parts.filter((part) => part !== undefined);
      // A missing part makes the shape wrong, which the network reports.
      if (present.length > 0) into.set(`${b.path}.${projection[kind]}`, stacked(present));
    }
  }
}

/** One of `count` equal ranges of rows; a view. */
function rowsOf({ dtype, shape, data }: NamedTensor, index: number, count: number): NamedTensor {
  const size = data.byteLength / count;
  const own = [shape[0]! / count, ...shape.slice(1)];
  return { dtype, shape: own, data: data.subarray(index * size, (index + 1) * size) };
}

function stacked(parts: readonly NamedTensor[]): NamedTensor {
  const [first] = parts;
  if (parts.length === 1) return first!;
  const height = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const data = new Uint8Array(Buffer.concat(parts.map((part) => part.data)));
  return { dtype: first!.dtype, shape: [height, ...first!.shape.slice(1)], data };
}
