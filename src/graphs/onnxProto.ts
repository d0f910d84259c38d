/**
 * The messages of the ONNX specification (onnx.proto, IR version 3 and newer), reduced to the fields that a
 * teacher needs. Weights aren't read.
 */
import protobuf from 'protobufjs';
import { checkMessageCount } from './onnxSize.js';

const DEFINITIONS = `
syntax = "proto3";
message ModelProto {
  int64 ir_version = 1;
  string producer_name = 2;
  string producer_version = 3;
  GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
  repeated FunctionProto functions = 25;
}
message OperatorSetIdProto {
  string domain = 1;
  int64 version = 2;
}
message FunctionProto {
  string name = 1;
  repeated NodeProto node = 7;
  string domain = 10;
}
message GraphProto {
  repeated NodeProto node = 1;
  string name = 2;
  repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
  repeated SparseTensorProto sparse_initializer = 15;
}
message NodeProto {
  string name = 3;
  string op_type = 4;
  repeated AttributeProto attribute = 5;
  string domain = 7;
}
message AttributeProto {
  TensorProto t = 5;
  GraphProto g = 6;
  repeated TensorProto tensors = 10;
  repeated GraphProto graphs = 11;
}
message SparseTensorProto {
  TensorProto values = 1;
  TensorProto indices = 2;
}
message TensorProto {
  string name = 8;
  repeated StringStringEntryProto external_data = 13;
  int32 data_location = 14; // an enum: 0 DEFAULT, 1 EXTERNAL
}
message StringStringEntryProto {
  string key = 1;
  string value = 2;
}
message ValueInfoProto {
  string name = 1;
  TypeProto type = 2;
}
message TypeProto {
  message Tensor {
    int32 elem_type = 1; // TensorProto.DataType
    TensorShapeProto shape = 2; // not there: rank unknown
  }
  Tensor tensor_type = 1; // not there: a sequence, a map, …
}
message TensorShapeProto {
  message Dimension {
    oneof value {
      int64 dim_value = 1;
      string dim_param = 2;
    }
  }
  repeated Dimension dim = 1;
}
`;

export interface TensorProto {
  readonly name: string;
  readonly externalData: readonly { readonly key: string; readonly value: string }[];
  readonly dataLocation: number;
}

export interface NodeProto {
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly attribute: readonly {
    readonly t: TensorProto | null;
    readonly g: GraphProto | null;
    readonly tensors: readonly TensorProto[];
    readonly graphs: readonly GraphProto[];
  }[];
}

export interface ValueInfoProto {
  readonly name: string;
  readonly type: {
    readonly tensorType: {
      readonly elemType: number;
      readonly shape: {
        readonly dim: readonly { readonly dimValue?: number; readonly dimParam?: string }[];
      } | null;
    } | null;
  } | null;
}

export interface GraphProto {
  readonly node: readonly NodeProto[];
  readonly initializer: readonly TensorProto[];
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
  readonly sparseInitializer: readonly {
    readonly values: TensorProto | null;
    readonly indices: TensorProto | null;
  }[];
}

export interface ModelProto {
  readonly irVersion: number;
  readonly producerName: string;
  readonly producerVersion: string;
  readonly graph: GraphProto | null;
  readonly opsetImport: readonly { readonly domain: string; readonly version: number }[];
  readonly functions: readonly { readonly name: string; readonly node: readonly NodeProto[] }[];
}

const ModelType = protobuf.parse(DEFINITIONS).root.lookupType('ModelProto');

/** Throws protobufjs' Error if the bytes aren't such a message, CheckpointError if it has too many parts. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  checkMessageCount(ModelType, bytes);
  const message = ModelType.decode(bytes);
  return ModelType.toObject(message, {
    longs: Number,
    defaults: true,
    arrays: true,
  }) as ModelProto;
}

/** Names of TensorProto.DataType's numbers. dtypeName shows the number of any other type. */
const DTYPE_NAMES: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
};

export function dtypeName(elemType: number): string {
  return DTYPE_NAMES[elemType] ?? `data type ${elemType}`;
}

/** Every tensor stored in the graph: initialisers and attributes, subgraphs included. */
export function* storedTensors(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const { values, indices } of graph.sparseInitializer) {
    if (values !== null) yield values;
    if (indices !== null) yield indices;
  }
  yield* tensorsOfNodes(graph.node);
}

export function* tensorsOfNodes(nodes: readonly NodeProto[]): Generator<TensorProto> {
  for (const attribute of nodes.flatMap((node) => node.attribute)) {
    if (attribute.t !== null) yield attribute.t;
    yield* attribute.tensors;
    for (const graph of attribute.graphs) yield* storedTensors(graph);
    if (attribute.g !== null) yield* storedTensors(attribute.g);
  }
}
