// Asks a teacher's health service, for health checks of engines that have no gRPC probe of their own.
//   node probe.mjs HOST:PORT        exit code 0 where it serves, else 1
import { Client, credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

const TIMEOUT_MS = 5000;
const DIRECT = { 'grpc.enable_http_proxy': 0 };

const [, , address = ''] = process.argv;
const tree = loadPackageDefinition(loadSync(protoPath, { enums: String, defaults: true }));
const { Check } = /** @type {any} */ (tree).grpc.health.v1.Health.service;
const client = new Client(address, credentials.createInsecure(), DIRECT);
client.makeUnaryRequest(
  Check.path,
  Check.requestSerialize,
  Check.responseDeserialize,
  { service: '' },
  { deadline: Date.now() + TIMEOUT_MS },
  (error, answer) => {
    const status = error ? error.message : String(/** @type {any} */ (answer).status);
    process.stdout.write(`${address}: ${status}\n`);
    process.exit(status === 'SERVING' ? 0 : 1);
  },
);
