/** Results of calls of foreign names: objects named by the class that Python would give them. */
import { ForeignName, ForeignObject, type ForeignObjects } from './foreignObjects.js';
import { CheckpointError } from '../checkpointError.js';
import { kindOf, type PickleTuple, shown } from './pickle/values.js';

/** NumPy's dtype codes and the names of their scalar types. */
const SCALARS: Readonly<Record<string, string>> = {
  ...{ b1: 'bool', i1: 'int8', i2: 'int16', i4: 'int32', i8: 'int64' },
  ...{ u1: 'uint8', u2: 'uint16', u4: 'uint32', u8: 'uint64' },
  ...{ f2: 'float16', f4: 'float32', f8: 'float64', c8: 'complex64', c16: 'complex128' },
};

/** The names of a module, a class and an attribute have 128 letters each at most. */
const LONGEST_NAME = 384;

/** A NumPy dtype, with the code from which a scalar's type is named. */
class ForeignDtype extends ForeignObject {
  readonly code: string;

  constructor(code: string) {
    super('numpy.dtype', false);
    this.code = code;
  }
}

type Make = (args: PickleTuple, objects: ForeignObjects) => ForeignObject | ForeignName;

/** Makes an object of the class given as the first argument. */
const OBJECT_OF_FIRST_ARGUMENT: Make = (args, objects) => {
  const [type] = args.items;
  if (type instanceof ForeignName && !type.creatable) {
    throw new CheckpointError(`a call of ${shown(type.name)} is refused`);
  }
  return objects.add(type instanceof ForeignName ? type.name : kindOf(type ?? null), args);
};

/** A class with parameters, such as typing.Optional[int]. */
const SUBSCRIPTION: Make = (args, objects) => {
  const [type] = args.items;
  const isType = type instanceof ForeignName || type instanceof ForeignObject;
  if (!isType) throw new CheckpointError('getitem: wanted a class and its parameters');
  return objects.add(type.name, args);
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

const MAKERS: ReadonlyMap<string, Make> = new Map<string, Make>([
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module): [string, Make][] => [
    [`${module}._reconstruct`, OBJECT_OF_FIRST_ARGUMENT],
    [`${module}.scalar`, SCALAR],
  ]),
  ...['copyreg', 'copy_reg'].flatMap((module) =>
    ['_reconstructor', '__newobj__', '__newobj_ex__'].map((name): [string, Make] => [
      `${module}.${name}`,
      OBJECT_OF_FIRST_ARGUMENT,
    ]),
  ),
  ['operator.getitem', SUBSCRIPTION],
  ['_operator.getitem', SUBSCRIPTION],
  ['types.GenericAlias', SUBSCRIPTION],
  ['builtins.getattr', ATTRIBUTE],
  ['__builtin__.getattr', ATTRIBUTE],
  ['numpy.dtype', ({ items: [code] }) => new ForeignDtype(typeof code === 'string' ? code : '')],
  // How protocol 2 writes bytes: plain data.
  ['_codecs.encode', () => new ForeignObject('bytes', false)],
]);

/** The result of calling a callable name; `tensor`: a tensor or storage is among the arguments. */
export function foreignResult(
  { name }: ForeignName,
  args: PickleTuple,
  objects: ForeignObjects,
  tensor: boolean,
): ForeignObject | ForeignName {
  const make = MAKERS.get(name);
  if (make !== undefined) return make(args, objects);
  return objects.add(name, args, tensor || /^torch\..*\._rebuild/.test(name));
}
