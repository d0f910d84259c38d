/**
 * The errors of the inference service: codes and wording follow Triton's, as its clients show them and
 * some match them. Source of both: github.com/triton-inference-server/core (src/infer_request.cc,
 * src/model.cc, src/model_repository_manager) and /server (src/grpc/infer_handler.cc).
 */
import { GrpcStatus, RpcError } from '../../rpc/errors.js';
import { printable } from '../../wire/printable.js';

/** The server's model: there is one, with one version. */
export const MODEL_VERSION = '1';

/** A client's text inside a message: short, and without characters that a status can't carry. */
export function quoted(text: string): string {
  return `'${printable(text)}'`;
}

export function invalidArgument(message: string): RpcError {
  return new RpcError(GrpcStatus.INVALID_ARGUMENT, message);
}

export function unavailable(message: string): RpcError {
  return new RpcError(GrpcStatus.UNAVAILABLE, message);
}

/** `[request id: 7] `, which Triton puts before what concerns one request. */
export function requestPrefix(id: string): string {
  return `[request id: ${id === '' ? '<id_unknown>' : printable(id)}] `;
}

/** Throws NOT_FOUND for another model or version, INVALID_ARGUMENT for a version that is no number. */
export function checkModel(modelName: string, name: string, version: string): void {
  if (name !== modelName) throw unknownModel(`${quoted(name)} is not found`);
  if (isVersion(version)) return;
  throw unknownModel(`${quoted(name)} version ${printable(version)} is not found`);
}

/** For readiness: another model or version isn't ready. Throws INVALID_ARGUMENT as checkModel does. */
export function isModel(modelName: string, name: string, version: string): boolean {
  return isVersion(version) && name === modelName;
}

/** For statistics, where another model or version is INVALID_ARGUMENT. */
export function checkStatistics(modelName: string, name: string, version: string): void {
  if (name !== modelName) {
    throw invalidArgument(`requested model ${quoted(name)} is not available`);
  }
  if (isVersion(version)) return;
  throw invalidArgument(`requested model version is not available for model ${quoted(name)}`);
}

/** Throws INVALID_ARGUMENT for one that is no number. */
function isVersion(version: string): boolean {
  if (version === '' || version === MODEL_VERSION) return true;
  if (/^\d+$/.test(version)) return false;
  throw invalidArgument(
    `failed to get model version from specified version string ${quoted(version)}, version should be an integral value > 0`,
  );
}

function unknownModel(reason: string): RpcError {
  return new RpcError(GrpcStatus.NOT_FOUND, `Request for unknown model: ${reason}`);
}

export function notReady(modelName: string): RpcError {
  return unavailable(
    `Request for unknown model: ${quoted(modelName)} version ${MODEL_VERSION} is not at ready state`,
  );
}

export function stopping(): RpcError {
  return unavailable(
    'Server is stopping, scheduler for model has stopped accepting new inference requests',
  );
}

export function queueFull(id: string): RpcError {
  return unavailable(`${requestPrefix(id)}Exceeds maximum queue size`);
}

export function timedOut(): RpcError {
  return unavailable('Request timeout expired');
}
