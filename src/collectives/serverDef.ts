/**
 * What TensorFlow's server of one process needs to know of the group: a ServerDef, of which these fields of
 * its published definitions are used (tensorflow_server.proto, cluster.proto, config.proto).
 */
import protobuf from 'protobufjs';

const DEFINITIONS = `
syntax = "proto3";
message ServerDef {
  ClusterDef cluster = 1;
  string job_name = 2;
  int32 task_index = 3;
  ConfigProto default_session_config = 4;
  string protocol = 5;
}
message ClusterDef {
  repeated JobDef job = 1;
}
message JobDef {
  string name = 1;
  map<int32, string> tasks = 2;
}
message ConfigProto {
  message Experimental {
    string collective_group_leader = 1;
  }
  Experimental experimental = 16;
}
`;

/** The environment variable that the addon reads when TensorFlow is opened (tensor/native/collectives.cc). */
export const SERVER_VARIABLE = 'CIRKD_COLLECTIVE_SERVER';

/** The ranks' common name: TensorFlow's own, whatever the ranks are called in TF_CONFIG. */
const JOB = 'worker';

/** @param addresses host:port of every rank, in order */
export function serverDef(addresses: readonly string[], rank: number): Uint8Array {
  const type = protobuf.parse(DEFINITIONS, { keepCase: true }).root.lookupType('ServerDef');
  const tasks = Object.fromEntries(addresses.map((address, index) => [index, address]));
  const message = {
    cluster: { job: [{ name: JOB, tasks }] },
    job_name: JOB,
    task_index: rank,
    // Without it the first collective waits for ever.
    default_session_config: {
      experimental: { collective_group_leader: `/job:${JOB}/replica:0/task:0` },
    },
    protocol: 'grpc',
  };
  return type.encode(type.create(message)).finish();
}

/** The value of SERVER_VARIABLE. */
export function serverVariable(addresses: readonly string[], rank: number): string {
  return Buffer.from(serverDef(addresses, rank)).toString('hex');
}
