/**
 * TensorFlow's published definitions of saved_model.pb (saved_model.proto, meta_graph.proto, saver.proto,
 * graph.proto, node_def.proto, tensor_shape.proto), reduced to the fields that a teacher needs. Other fields
 * are skipped.
 */
import protobuf from 'protobufjs';

const DEFINITIONS = `
syntax = "proto3";
message SavedModel {
  int64 saved_model_schema_version = 1;
  repeated MetaGraphDef meta_graphs = 2;
}
message MetaGraphDef {
  message MetaInfoDef {
    repeated string tags = 4;
    string tensorflow_version = 5;
  }
  MetaInfoDef meta_info_def = 1;
  GraphDef graph_def = 2;
  SaverDef saver_def = 3;
  map<string, SignatureDef> signature_def = 5;
}
message SaverDef {
  int32 version = 7; // an enum: 0 LEGACY, 1 V1, 2 V2
}
message GraphDef {
  repeated NodeDef node = 1;
}
message NodeDef {
  string name = 1;
  string op = 2;
}
message SignatureDef {
  map<string, TensorInfo> inputs = 1;
  map<string, TensorInfo> outputs = 2;
}
message TensorInfo {
  string name = 1; // "operation:output"; none for sparse and composite tensors
  int32 dtype = 2; // an enum: types.proto
  TensorShapeProto tensor_shape = 3;
}
message TensorShapeProto {
  message Dim {
    int64 size = 1; // -1: unknown
  }
  repeated Dim dim = 2;
  bool unknown_rank = 3;
}
`;

export interface TensorInfoDef {
  readonly name: string;
  readonly dtype: number;
  readonly tensorShape: {
    readonly dim: readonly { readonly size: number }[];
    readonly unknownRank: boolean;
  } | null;
}

export interface SignatureDef {
  readonly inputs: Readonly<Record<string, TensorInfoDef>>;
  readonly outputs: Readonly<Record<string, TensorInfoDef>>;
}

export interface MetaGraphDef {
  readonly metaInfoDef: {
    readonly tags: readonly string[];
    readonly tensorflowVersion: string;
  } | null;
  readonly graphDef: {
    readonly node: readonly { readonly name: string; readonly op: string }[];
  } | null;
  readonly saverDef: { readonly version: number } | null;
  readonly signatureDef: Readonly<Record<string, SignatureDef>>;
}

/** protobufjs' type of the message. A decoded message may lack any field. */
export const SavedModelType = protobuf.parse(DEFINITIONS).root.lookupType('SavedModel');

/** Throws protobufjs' Error if the bytes aren't such a message. */
export function decodeSavedModel(bytes: Uint8Array): { readonly metaGraphs: MetaGraphDef[] } {
  const message = SavedModelType.decode(bytes);
  const plain = SavedModelType.toObject(message, { longs: Number, defaults: true });
  return plain as { metaGraphs: MetaGraphDef[] };
}
