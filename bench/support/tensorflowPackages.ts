/** TensorFlow in Python for the peers: the release whose libraries the set-up takes. */
import { TENSORFLOW_WHEELS } from '../../services/setup/pins.mjs';
import { ensurePython } from './pythonPackages.js';

/** The folder for PYTHONPATH; installs it, with Keras and NumPy (1.8 GB), where it's missing. */
export function ensureTensorflow(say: (text: string) => void): Promise<string> {
  const { project, version } = TENSORFLOW_WHEELS.cpu;
  return ensurePython({ [project]: version }, say);
}
