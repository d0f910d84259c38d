/** ONNX files by hand: the specification's messages as a writer needs them, apart from those that src/graphs reads. */
import protobuf from 'protobufjs';

const DEFINITIONS = `
syntax = "proto3";
message ModelProto {
  int64 ir_version = 1; string producer_name = 2; string producer_version = 3;
  GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message GraphProto {
  repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
}
message NodeProto {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated AttributeProto attribute = 5; string domain = 7;
}
message AttributeProto { string name = 1; int64 i = 3; repeated int64 ints = 8; int32 type = 20; }
message TensorProto {
  repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
  repeated Entry external_data = 13; int32 data_location = 14;
}
message Entry { string key = 1; string value = 2; }
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message TypeProto { Tensor tensor_type = 1; }
message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
message TensorShapeProto { repeated Dimension dim = 1; }
message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
`;

const ModelType = protobuf.parse(DEFINITIONS).root.lookupType('ModelProto');

const DATA_TYPES = { float32: 1, uint8: 2, int64: 7, float16: 10 } as const;
export type OnnxDType = keyof typeof DATA_TYPES;

export interface OnnxValue {
  readonly name: string;
  readonly dtype?: OnnxDType;
  /** Numbers, or names of sizes that may differ. */
  readonly shape: readonly (number | string)[];
}

export interface OnnxNode {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
}

export interface OnnxWeights {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** In place of the values in the file: where they are. */
  readonly external?: {
    readonly location: string;
    readonly offset: number;
    readonly length: number;
  };
}

export interface OnnxModel {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly weights: readonly OnnxWeights[];
  readonly opsets?: Readonly<Record<string, number>>;
}

const INT = 2;
const INTS = 7;

export function encodeOnnx(model: OnnxModel): Uint8Array {
  const { inputs, outputs, nodes, weights, opsets = { '': 17 } } = model;
  const message = {
    irVersion: 8,
    producerName: 'tests',
    producerVersion: '1',
    opsetImport: Object.entries(opsets).map(([domain, version]) => ({ domain, version })),
    graph: {
      name: 'graph',
      node: nodes.map(({ op, domain = '', inputs: from, outputs: to, attributes = {} }) => ({
        ...{ opType: op, domain, input: from, output: to },
        attribute: Object.entries(attributes).map(([name, value]) =>
          typeof value === 'number'
            ? { name, i: value, type: INT }
            : { name, ints: value, type: INTS },
        ),
      })),
      initializer: weights.map(tensor),
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
    },
  };
  return ModelType.encode(ModelType.fromObject(message)).finish();
}

function tensor({ name, shape, values, external }: OnnxWeights) {
  const common = { name, dims: shape, dataType: DATA_TYPES.float32 };
  if (external === undefined) {
    return {
      ...common,
      rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    };
  }
  const externalData = Object.entries(external).map(([key, value]) => ({
    key,
    value: String(value),
  }));
  return { ...common, externalData, dataLocation: 1 };
}

function valueInfo({ name, dtype = 'float32', shape }: OnnxValue) {
  const dim = shape.map((size) =>
    typeof size === 'number' ? { dimValue: size } : { dimParam: size },
  );
  return { name, type: { tensorType: { elemType: DATA_TYPES[dtype], shape: { dim } } } };
}
