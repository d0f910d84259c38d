/** gRPC's C core, in Python, for the peer of bench/transport. */
import { ensurePython } from './pythonPackages.js';

/** The folder for PYTHONPATH; installs it where it's missing. */
export function ensureGrpcio(say: (text: string) => void): Promise<string> {
  return ensurePython({ grpcio: '1.85.3' }, say);
}
