/** What calls of foreign names make: an object that is named as a reader would name it. */
import { ForeignName, ForeignObject, type ForeignObjects } from './foreignObjects.js';
import { CheckpointError } from '../checkpointError.js';
import { kindOf, type PickleTuple } from './pickle/values.js';

/** NumPy's codes of dtypes, and the names of their scalars. */
const SCALARS: Readonly<Record<string, string>> = {
  ...{ b1: 'bool', i1: 'int8', i2: 'int16', i4: 'int32', i8: 'int64' },
  ...{ u1: 'uint8', u2: 'uint16', u4: 'uint32', u8: 'uint64' },
  ...{ f2: 'float16', f4: 'float32', f8: 'float64', c8: 'complex64', c16: 'complex128' },
};

/** A module's, a class's and an attribute's name are each 128 at most. */
const LONGEST_NAME = 384;

/** NumPy's dtype with its code, by which a scalar is named. */
class ForeignDtype extends ForeignObject {
  readonly code: string;

  constructor(code: string) {
    super('numpy.dtype', false);
    this.code = code;
  }
}

type Make = (args: PickleTuple, objects: ForeignObjects) => ForeignObject | ForeignName;

/** An object of the class that is the first argument. */
const OF_FIRST: Make = (args, objects) => {
  const [type] = args.items;
  return objects.add(type instanceof ForeignName ? type.name : kindOf(type ?? null), args);
};

const SCALAR: Make = (args, objects) => {
  const [dtype] = args.items;
  const code = dtype instanceof ForeignDtype ? dtype.code : '';
  const name = Object.hasOwn(SCALARS, code) ? SCALARS[code] : 'generic';
  return objects.add(`numpy.${name}`, args);
};

const ATTRIBUTE: Make = (args, objects) => {
  const [owner, name] = args.items;
  const isFrom = owner instanceof ForeignName || owner instanceof ForeignObject;
  if (args.items.length !== 2 || !isFrom || typeof name !== 'string') {
    throw new CheckpointError('getattr: wanted a class and a name in it');
  }
  if (owner.name.length + name.length > LONGEST_NAME) {
    throw new CheckpointError(`getattr: a name of more than ${LONGEST_NAME} letters`);
  }
  if (owner instanceof ForeignName) return objects.within(owner, name);
  return objects.add(`${owner.name}.${name}`, args);
};

const MADE: ReadonlyMap<string, Make> = new Map<string, Make>([
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module): [string, Make][] => [
    [`${module}._reconstruct`, OF_FIRST],
    [`${module}.scalar`, SCALAR],
  ]),
  ...['copyreg', 'copy_reg'].flatMap((module) =>
    ['_reconstructor', '__newobj__', '__newobj_ex__'].map((name): [string, Make] => [
      `${module}.${name}`,
      OF_FIRST,
    ]),
  ),
  ['builtins.getattr', ATTRIBUTE],
  ['__builtin__.getattr', ATTRIBUTE],
  ['numpy.dtype', ({ items: [code] }) => new ForeignDtype(typeof code === 'string' ? code : '')],
  // Bytes, as protocol 2 has them: plain data.
  ['_codecs.encode', () => new ForeignObject('bytes', false)],
]);

/** Of a call of a callable name; `tensor`: a tensor or storage is among the arguments. */
export function foreignResult(
  { name }: ForeignName,
  args: PickleTuple,
  objects: ForeignObjects,
  tensor: boolean,
): ForeignObject | ForeignName {
  const make = MADE.get(name);
  if (make !== undefined) return make(args, objects);
  return objects.add(name, args, tensor || /^torch\..*\._rebuild/.test(name));
}
